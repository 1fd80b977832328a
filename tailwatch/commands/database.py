"""tailwatch db."""

import argparse
import tempfile
from pathlib import Path

from schema.session import migrate, migration_drift, migration_state
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.errors import TailwatchError
from tailwatch.home import find_home
from tailwatch.postgres import running_postgres


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "db",
        run_database,
        "bring the database's tables up to date, or check that the migrations make them",
        "  tailwatch db migrate    DATABASE_URL, else the local stack's database\n"
        "  tailwatch db check      on a throw-away Postgres, for CI",
    )
    parser.add_argument("action", choices=("migrate", "check"), help="what to do")


def run_database(arguments: argparse.Namespace) -> int:
    return _check() if arguments.action == "check" else _migrate()


def _migrate() -> int:
    url = find_database(find_home())
    before = migration_state(url)
    migrate(url)
    tell(f"the database was {before}")
    result(str(migration_state(url)))
    return 0


def _check() -> int:
    """Migrate an empty database and compare what came of it with the tables in the code."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_postgres(Path(directory) / "check") as url,
    ):
        migrate(url)
        differences = migration_drift(url)
    if differences:
        listed = "\n".join(f"  {line}" for line in differences)
        raise TailwatchError(
            f"the migrations do not make the tables of schema/tables.py:\n{listed}\n"
            "write a migration for it, see CONTRIBUTING.md"
        )
    result("migrations and tables are in step")
    return 0
