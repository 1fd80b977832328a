"""Doors: who may do what, and what a closed door says."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from schema import session as doors
from schema.session import (
    DatabaseNotConfigured,
    DatabaseNotMigrated,
    DatabaseUnreachable,
    Role,
    open_database,
    reading,
    writing,
)
from schema.store.nights import nights, record_night


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_reader_cannot_write(database_url: str, make_night: Callable[..., Any]) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied for table nights"),
        reading(database_url) as session,
    ):
        record_night(session, make_night())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "DROP TABLE nights CASCADE",
        "TRUNCATE measurements",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
)
def test_a_writer_writes_rows_and_nothing_else(database_url: str, statement: str) -> None:
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        writing(database_url) as session,
    ):
        session.execute(text(statement))


def test_roles_reach_tables_of_later_migrations(own_database_url: str) -> None:
    with open_database(Role.OWNER, own_database_url).begin() as connection:
        connection.execute(text("CREATE TABLE later (a int)"))
    with writing(own_database_url) as session:
        session.execute(text("INSERT INTO later VALUES (1)"))
    with reading(own_database_url) as session:
        assert session.scalar(text("SELECT a FROM later")) == 1


def test_a_page_sees_one_moment(database_url: str, make_night: Callable[..., Any]) -> None:
    with reading(database_url) as reader:
        assert nights(reader) == []
        with writing(database_url) as writer:
            record_night(writer, make_night())
        assert nights(reader) == []


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_the_address_works(database_url: str, scheme: str) -> None:
    url = database_url.replace("postgresql", scheme, 1)
    with reading(f"{url}?options=-c%20work_mem%3D8MB") as session:
        assert session.scalar(text("SELECT current_user")) == "tailwatch_reader"
        assert session.scalar(text("SHOW work_mem")) == "8MB"
        assert session.scalar(text("SHOW application_name")) == "tailwatch reader"


def test_the_environment_names_the_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    with reading() as session:
        assert nights(session) == []


@pytest.mark.parametrize("url", ["", "mysql://me:secret@host/db", "not an address with secret"])
def test_an_unusable_address_is_explained_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(DatabaseNotConfigured, match="postgresql://USER:PASSWORD@") as raised:
        open_database(Role.READER, url)
    assert "secret" not in str(raised.value)


def test_an_absent_server_is_one_sentence_with_the_next_step(silent_port: int) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{silent_port}/tailwatch"
    with pytest.raises(DatabaseUnreachable) as raised, reading(url) as session:
        nights(session)
    said = str(raised.value)
    assert said.startswith(f"no connection to Postgres at 127.0.0.1:{silent_port}/tailwatch (")
    assert "refused" in said
    assert "tailwatch up" in said
    assert "secret" not in said
    assert "\n" not in said


def test_a_wrong_password_and_a_missing_database_are_told_apart(database_url: str) -> None:
    server = database_url.rpartition("@")[2]
    for url, reason in [  # a server that trusts everyone names the account instead
        (f"postgresql://nobody:wrong@{server}", r'password authentication failed|role "nobody"'),
        (f"{database_url}_gone", "does not exist"),
    ]:
        with pytest.raises(DatabaseUnreachable, match=reason), reading(url) as session:
            nights(session)


def test_a_server_that_goes_away_is_named(database_url: str) -> None:
    with open_database(Role.READER, database_url).connect() as connection:
        number = connection.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(database_url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (number,))
        with pytest.raises(DatabaseUnreachable, match="ended the connection"):
            connection.scalar(text("SELECT 1"))


def test_a_missing_role_asks_for_the_migration(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renamed(doors.StrEnum):
        READER = "tailwatch_nobody"
        OWNER = "owner"

    monkeypatch.setattr(doors, "Role", Renamed)
    with (
        pytest.raises(DatabaseNotMigrated, match="tailwatch db migrate"),
        open_database(Renamed.READER, database_url).connect(),
    ):
        pass


def test_an_account_without_the_role_is_told_what_to_grant(
    postgres_url: str, database_url: str
) -> None:
    name = database_url.rpartition("/")[2] + "_stranger"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        account = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(account))
        try:
            url = database_url.replace(database_url.split("@")[0], f"postgresql://{name}:x")
            with (
                pytest.raises(DatabaseNotConfigured, match="GRANT tailwatch_reader"),
                reading(url) as session,
            ):
                nights(session)
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(account))
