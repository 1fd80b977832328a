"""The whole stack, really: up, a run followed to its end, and down without a trace."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tailwatch import postgres, processes, stack
from tailwatch.airflow_client import AirflowClient
from tailwatch.follow import follow
from tailwatch.home import Home
from tailwatch.progress import Progress
from tailwatch.services import Stack, answers

pytestmark = pytest.mark.airflow

DAG = """
import subprocess, time
from datetime import UTC, datetime
from pathlib import Path
from airflow.sdk import dag, get_current_context, task

@task
def plan(ready=None):
    return ["first", "second"]

@task(pool="cpu", map_index_template="{{ label }}")
def trial(name):
    get_current_context()["label"] = name
    flag = Path(FLAG)
    if name == "second" and not flag.exists():
        flag.touch()
        raise RuntimeError("fails once")

@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def flaky():
    trial.expand(name=plan())

@task(pool="cpu")
def hold():
    # As a runner does it: in a session of its own, not in the task's.
    engine = subprocess.Popen(["sleep", "300"], start_new_session=True)
    Path(ENGINE).write_text(str(engine.pid))
    time.sleep(300)

@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def holding():
    hold()

flaky()
holding()
"""


def _tell(_: str) -> None:
    """Nobody waits."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    directory = tmp_path_factory.mktemp("stack")
    ours = Home(directory=directory / "home")
    dags = directory / "dags"
    dags.mkdir()
    constants = f"FLAG = {str(directory / 'flag')!r}\nENGINE = {str(directory / 'engine')!r}\n"
    (dags / "flaky.py").write_text(constants + DAG)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
            patch.delenv(name, raising=False)
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dags))
        yield ours
        stack.down(ours, _tell)
        postgres.remove(ours.postgres)


@pytest.fixture(scope="module")
def running(home: Home) -> Stack:
    return stack.up(home, _tell)


def test_up_makes_everything_healthy(running: Stack) -> None:
    with AirflowClient(running.airflow_url) as client:
        assert client.is_healthy()
    assert answers(f"{running.dashboard_url}/_stcore/health")
    stack.require_alive(running)


def test_up_again_starts_nothing(home: Home, running: Stack) -> None:
    assert stack.up(home, _tell) == running


def test_secrets_are_readable_by_their_owner_alone(home: Home, running: Stack) -> None:
    assert (home.airflow / "secrets.json").stat().st_mode & 0o077 == 0


def test_nothing_listens_beyond_the_loopback(running: Stack) -> None:
    """Every administrator is let in without a password, so this must hold."""
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ours = {f"{port:04X}" for port in (running.airflow_port, running.dashboard_port)}
    addresses = {
        fields[1].partition(":")[0]
        for fields in map(str.split, listening)
        if fields[3] == "0A" and fields[1].partition(":")[2] in ours
    }
    assert addresses == {"0100007F"}


def test_a_failed_launch_is_followed_and_repeated_when_the_run_is_taken_up(
    running: Stack,
) -> None:
    seen: list[Progress] = []
    with AirflowClient(running.airflow_url) as client:
        client.wait_for_dag("flaky", within_s=60)
        client.unpause("flaky")
        client.trigger("flaky", "2026-11-22", {"launches": 2})

        def alive() -> None:
            stack.require_alive(running)

        first = follow(client, "flaky", "2026-11-22", seen.append, alive, poll_s=0.5)
        assert first.state == "failed"
        assert (seen[-1].launches_done, seen[-1].launches_failed) == (2, 1)
        labels = {one.label for one in client.task_instances("flaky", "2026-11-22")}
        assert "first" in labels

        assert client.clear_failed("flaky", "2026-11-22") == 1
        again = follow(client, "flaky", "2026-11-22", seen.append, alive, poll_s=0.5)
        assert (again.state, again.conf) == ("success", {"launches": 2})


def test_down_ends_a_running_tasks_engine_too_and_leaves_no_process(
    home: Home, running: Stack
) -> None:
    noted = home.directory.parent / "engine"
    with AirflowClient(running.airflow_url) as client:
        client.unpause("holding")
        client.trigger("holding", None, {})
    deadline = time.monotonic() + 60
    while not noted.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    engine = processes.find(int(noted.read_text()))
    assert engine is not None

    assert stack.down(home, _tell)

    assert not processes.is_alive(engine)
    leaders = [service.process for service in running.services]
    assert processes.belonging_to(leaders, f"{stack.MARKER}={running.marker}") == []
    assert postgres.postmaster(home.postgres) is None
    assert not stack.down(home, _tell)
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.dashboard_url, trust_env=False)
