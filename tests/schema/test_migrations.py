"""Migrations: they make what the tables declare, both ways, and roles that hold."""

import os
import subprocess
import sys

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

from schema.session import (
    DatabaseNotMigrated,
    MigrationState,
    downgrade,
    migrate,
    migration_drift,
    migration_state,
    reading,
)
from schema.store.nights import nights


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        )
        return {name for (name,) in rows}


def test_up_down_and_up_again(empty_database_url: str) -> None:
    migrate(empty_database_url)
    made = tables(empty_database_url)
    downgrade(empty_database_url)
    assert tables(empty_database_url) == {"alembic_version"}
    migrate(empty_database_url)
    assert tables(empty_database_url) == made


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    assert migration_state(database_url) is MigrationState.IN_STEP


def test_two_migrations_at_once_take_turns(empty_database_url: str) -> None:
    """In processes, as two containers start: alembic itself is not made for threads."""
    program = [sys.executable, "-c", "from schema.session import migrate; migrate()"]
    environment = os.environ | {"DATABASE_URL": empty_database_url}
    both = [subprocess.Popen(program, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert migration_state(empty_database_url) is MigrationState.IN_STEP


def test_the_migrations_make_exactly_the_declared_tables(database_url: str) -> None:
    assert migration_drift(database_url) == []


def test_a_difference_is_named(own_database_url: str) -> None:
    with psycopg.connect(own_database_url) as connection:
        connection.execute("ALTER TABLE measurements DROP CONSTRAINT ck_measurements_finite")
        connection.execute("ALTER TABLE builds ADD COLUMN stray text")
    drift = migration_drift(own_database_url)
    assert [entry.split(" CHECK")[0] for entry in drift] == [
        "no migration makes constraint ck_measurements_finite of measurements",
        "no table declares column builds.stray text",
    ]


def test_alembic_itself_sees_nothing_to_do(
    database_url: str, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    command.check(Config(toml_file=pytestconfig.rootpath / "pyproject.toml"))


def test_the_state_tells_empty_from_ahead(empty_database_url: str) -> None:
    assert migration_state(empty_database_url) is MigrationState.EMPTY
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of-next-year'")
    assert migration_state(empty_database_url) is MigrationState.AHEAD


def test_a_failed_migration_leaves_nothing_behind(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE verdicts (in_the_way int)")
    with pytest.raises(Exception, match="already exists"):
        migrate(empty_database_url)
    assert tables(empty_database_url) == {"verdicts"}


def test_an_unmigrated_database_names_the_next_step(empty_database_url: str, template: str) -> None:
    with (
        pytest.raises(DatabaseNotMigrated, match="tailwatch db migrate"),
        reading(empty_database_url) as session,
    ):
        nights(session)


def test_roles_stay_while_another_database_uses_them(
    empty_database_url: str, database_url: str
) -> None:
    migrate(empty_database_url)
    downgrade(empty_database_url)
    with reading(database_url) as session:
        assert nights(session) == []


def test_an_account_that_only_owns_its_database_can_migrate_it(
    postgres_url: str, empty_database_url: str, template: str
) -> None:
    """With CREATEROLE and membership, as managed Postgres gives it: not a superuser."""
    name = empty_database_url.rpartition("/")[2]
    owner = sql.Identifier(f"{name}_owner")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(owner))
        try:
            for statement in (
                "GRANT tailwatch_reader, tailwatch_writer TO {owner}",
                "ALTER DATABASE {database} OWNER TO {owner}",
            ):
                parts = sql.SQL(statement)
                connection.execute(parts.format(owner=owner, database=sql.Identifier(name)))
            url = empty_database_url.replace(
                empty_database_url.split("@")[0], f"postgresql://{name}_owner:x"
            )
            migrate(url)
            with reading(url) as session:
                assert nights(session) == []
            downgrade(url)
        finally:
            restore = sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER")
            connection.execute(restore.format(sql.Identifier(name)))
            with psycopg.connect(empty_database_url, autocommit=True) as inside:
                inside.execute(sql.SQL("DROP OWNED BY {}").format(owner))
            connection.execute(sql.SQL("DROP ROLE {}").format(owner))
