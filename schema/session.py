"""Doors to the database: who may do what, how to reach it, and which migrations it has seen."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import psycopg.errors
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from schema.tables import TABLES

CONNECT_WITHIN_S = 5  # libpq's connect_timeout, per address
MIGRATIONS = Path(__file__).with_name("migrations")

DESCRIPTION = text("""
WITH tables AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'p')
      AND relname <> 'alembic_version')
SELECT concat_ws(' ', 'column', relname || '.' || attname, format_type(atttypid, atttypmod),
                 CASE WHEN attnotnull THEN 'NOT NULL' END, pg_get_expr(adbin, adrelid))
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT concat_ws(' ', 'table', relname, 'partitioned by', pg_get_partkeydef(oid)) FROM tables
UNION ALL
SELECT concat_ws(' ', 'constraint', conname, 'of', relname, pg_get_constraintdef(pg_constraint.oid))
FROM tables JOIN pg_constraint ON conrelid = tables.oid
UNION ALL
SELECT pg_get_indexdef(indexrelid) FROM tables JOIN pg_index ON indrelid = tables.oid
""")


class SchemaError(Exception):
    """The database could not answer, or refused what it was asked to keep."""


class DatabaseNotConfigured(SchemaError):
    """No usable address or account was given."""


class DatabaseUnreachable(SchemaError):
    """Nothing answers at the address."""


class DatabaseNotMigrated(SchemaError):
    """The database lacks tables or roles that this code needs."""


class Role(StrEnum):
    """What a connection may do."""

    READER = "tailwatch_reader"  # reads
    WRITER = "tailwatch_writer"  # reads and writes rows
    OWNER = "owner"  # whatever the account may do: migrations


class MigrationState(StrEnum):
    """How the database's migrations stand to those of this code."""

    IN_STEP = "in step"
    EMPTY = "empty"  # none was ever run
    BEHIND = "behind"  # `tailwatch db migrate` is due
    AHEAD = "ahead"  # a newer tailwatch migrated it


def open_database(role: Role, url: str | None = None) -> Engine:
    """An engine whose connections act as `role`. Without `url`, DATABASE_URL is used.

    Nothing is contacted yet. Whatever uses the engine raises DatabaseUnreachable,
    DatabaseNotMigrated or DatabaseNotConfigured instead of the driver's errors for these causes.
    """
    return _engine(role, _address(url))


@contextmanager
def reading(url: str | None = None) -> Iterator[Session]:
    """A session that can only read; all its queries see one moment."""
    engine = open_database(Role.READER, url).execution_options(isolation_level="REPEATABLE READ")
    with Session(engine) as session:
        yield session


@contextmanager
def writing(url: str | None = None) -> Iterator[Session]:
    """A session that writes rows: kept when the block ends, undone when it raises."""
    with Session(open_database(Role.WRITER, url)) as session, session.begin():
        yield session


def migrate(url: str | None = None) -> None:
    """Bring the database to this code's tables; in step already, nothing happens.

    The account must own the database and may need CREATEROLE for the two roles. Migrations take
    turns, and a failed one leaves nothing behind.
    """
    with open_database(Role.OWNER, url).begin() as connection:
        command.upgrade(_alembic(connection), "head")


def downgrade(url: str | None = None, revision: str = "base") -> None:
    """Undo migrations down to `revision`. Back to `base` deletes every table with its rows."""
    with open_database(Role.OWNER, url).begin() as connection:
        command.downgrade(_alembic(connection), revision)


def migration_state(url: str | None = None) -> MigrationState:
    """Where the database stands; changes nothing."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    with open_database(Role.OWNER, url).connect() as connection:
        found = MigrationContext.configure(connection).get_current_heads()
    if not found:
        return MigrationState.EMPTY
    known = {script.revision for script in scripts.walk_revisions()}
    if not known.issuperset(found):
        return MigrationState.AHEAD
    return (
        MigrationState.IN_STEP if set(found) == set(scripts.get_heads()) else MigrationState.BEHIND
    )


def migration_drift(url: str | None = None) -> list[str]:
    """Where a database in step differs from the tables as the code declares them; best empty.

    Postgres describes both, so that nothing escapes: types, defaults, checks, keys and indexes.
    The declared tables are made in a schema of their own and undone.
    """
    with open_database(Role.OWNER, url).connect() as connection:
        migrated = _described(connection, "public")
        connection.execute(text("CREATE SCHEMA declared"))
        connection.execute(text("SET LOCAL search_path TO declared"))
        TABLES.create_all(connection, checkfirst=False)
        declared = _described(connection, "declared")
        connection.rollback()
    lacking = [f"no migration makes {part}" for part in sorted(declared - migrated)]
    return lacking + [f"no table declares {part}" for part in sorted(migrated - declared)]


def _described(connection: Connection, schema: str) -> set[str]:
    rows = connection.scalars(DESCRIPTION, {"schema": schema})
    return {row.replace(f"{schema}.", "") for row in rows}


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _address(url: str | None) -> URL:
    given = url or os.environ.get("DATABASE_URL")
    if not given:
        raise DatabaseNotConfigured(
            "DATABASE_URL is not set: run `tailwatch up`, or export "
            "DATABASE_URL=postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    try:
        address = make_url(given)
    except ArgumentError:
        address = None
    if address is None or address.drivername.partition("+")[0] not in {"postgres", "postgresql"}:
        # what was given is not repeated: it may hold a password
        raise DatabaseNotConfigured(
            "DATABASE_URL is not a Postgres address: write "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    return address.set(drivername="postgresql+psycopg")


@lru_cache(maxsize=16)
def _engine(role: Role, address: URL) -> Engine:
    """No pool: a connection must not survive into a forked task."""
    options = [str(address.query.get("options", "")), "-c timezone=UTC"]
    if role is not Role.OWNER:
        options.append(f"-c role={role}")
    arguments = {
        "connect_timeout": CONNECT_WITHIN_S,
        "application_name": f"tailwatch {role.name.lower()}",
        "options": " ".join(options).strip(),
    }
    engine = create_engine(address, connect_args=arguments, poolclass=NullPool)
    event.listen(engine, "handle_error", _explain)
    return engine


def _explain(context: ExceptionContext) -> None:
    """Replace the driver's error by one with the next step, where there is one."""
    error = context.original_exception
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        raise DatabaseNotMigrated(
            f"the database does not match this code ({_first_line(error)}): "
            "run `tailwatch db migrate`"
        ) from error
    if isinstance(error, psycopg.OperationalError) and context.connection is None:
        _explain_refusal(error, context.engine)
    if context.is_disconnect:
        raise DatabaseUnreachable(
            f"Postgres at {_place(context.engine)} ended the connection: start it again with "
            "`tailwatch up` and repeat the command; what was not finished was undone"
        ) from error


def _explain_refusal(error: psycopg.OperationalError, engine: Engine | None) -> NoReturn:
    """Why no connection came about. Such errors carry no SQLSTATE, only text."""
    said, place = str(error), _place(engine)
    if 'permission denied to set role "' in said:
        raise DatabaseNotConfigured(
            f"the account of DATABASE_URL is not a member of the role it needs at {place}: "
            f"let the owner run GRANT {Role.READER}, {Role.WRITER} TO that account"
        ) from error
    if any(f'role "{role}" does not exist' in said for role in Role):
        raise DatabaseNotMigrated(
            f"the roles of tailwatch do not exist at {place}: run `tailwatch db migrate`"
        ) from error
    raise DatabaseUnreachable(
        f"no connection to Postgres at {place} ({_first_line(error)}): start it with "
        "`tailwatch up`, or correct DATABASE_URL"
    ) from error


def _place(engine: Engine | None) -> str:
    if engine is None:
        return "the address in DATABASE_URL"
    return f"{engine.url.host or 'localhost'}:{engine.url.port or 5432}/{engine.url.database or ''}"


def _first_line(error: BaseException) -> str:
    """The cause alone: libpq puts the address before it and hints below it."""
    return str(error).strip().split("\n", 1)[0].rpartition("failed: ")[2]
