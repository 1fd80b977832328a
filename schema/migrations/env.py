"""How alembic reaches the database: DATABASE_URL, unless a connection is handed in."""

from alembic import context
from sqlalchemy import Connection, text

from schema.session import Role, open_database
from schema.tables import TABLES

TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtext('tailwatch.migrate'))")


def run(connection: Connection) -> None:
    """Run what the command asked for, in one transaction."""
    context.configure(connection=connection, target_metadata=TABLES)
    with context.begin_transaction():
        connection.execute(TAKE_TURNS)
        context.run_migrations()


handed_in = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    with open_database(Role.OWNER).begin() as own:
        run(own)
