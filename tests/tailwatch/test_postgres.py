"""The embedded Postgres: what survives, what is refused, what is left."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tailwatch import postgres, processes
from tailwatch.errors import PortTaken


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "postgres"
    postgres.remove(tmp_path / "postgres")


def test_data_survives_a_killed_postmaster(directory: Path) -> None:
    url = postgres.start(directory)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kept (a int)")
        connection.execute("insert into kept values (42)")
    process = postgres.postmaster(directory)
    assert process is not None
    processes.send([process], signal.SIGKILL)
    assert processes.wait([process], within_s=10) == []

    again = postgres.start(directory)

    assert again == url, "the port and the password are remembered"
    with psycopg.connect(again) as connection:
        assert connection.execute("select a from kept").fetchone() == (42,)


def test_a_lock_file_with_a_strangers_number_does_not_stop_the_start(directory: Path) -> None:
    url = postgres.start(directory)
    lock = postgres.place(directory) / "data" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    postgres.stop(directory)
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    assert postgres.postmaster(directory) is None
    assert postgres.start(directory) == url


def test_starting_twice_leaves_the_running_server_alone(directory: Path) -> None:
    url = postgres.start(directory)
    first = postgres.postmaster(directory)
    assert postgres.start(directory) == url
    assert postgres.postmaster(directory) == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only what root starts can lie elsewhere")
def test_deleting_its_folder_forgets_a_cluster_that_lies_elsewhere(directory: Path) -> None:
    directory.parent.chmod(0o700)
    with psycopg.connect(postgres.start(directory), autocommit=True) as connection:
        connection.execute("create table kept ()")
    first = postgres.postmaster(directory)
    assert first is not None
    assert postgres.place(directory) != directory
    shutil.rmtree(directory)
    with psycopg.connect(postgres.start(directory)) as connection:
        assert connection.execute("select to_regclass('kept')").fetchone() == (None,)
    assert not processes.is_alive(first)
    home = postgres.place(directory)
    assert (home.with_name(f"{home.name}.old") / "data" / "PG_VERSION").exists()


def test_stopping_twice_changes_nothing(directory: Path) -> None:
    postgres.start(directory)
    assert postgres.stop(directory)
    assert not postgres.stop(directory)
    assert postgres.postmaster(directory) is None


def test_nobody_gets_in_without_the_password(directory: Path) -> None:
    parts = urlsplit(postgres.start(directory))
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://tailwatch:wrong@127.0.0.1:{parts.port}/postgres")
    secret = postgres.place(directory) / "password"
    assert secret.stat().st_mode & 0o077 == 0


def test_a_taken_port_is_named_with_the_next_step(directory: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port}.*choose another port"):
            postgres.start(directory, port)


def test_a_remembered_port_that_was_taken_meanwhile_is_replaced(directory: Path) -> None:
    port = urlsplit(postgres.start(directory)).port
    postgres.stop(directory)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert urlsplit(postgres.start(directory)).port != port


def test_a_throw_away_cluster_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "brief"
    with postgres.running_postgres(directory) as url, psycopg.connect(url) as connection:
        assert connection.execute("select current_user").fetchone() == ("tailwatch",)
        home = postgres.place(directory)
    assert not home.exists()
    assert not directory.exists()
