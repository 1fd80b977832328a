"""Whatever is killed, no engine is left, nothing is lost and nothing counts twice.

The whole stack is real, the engines are not: they answer like vLLM and take as long as they are
told. Every moment is found by what can be seen of it, never by waiting a while.
"""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import psycopg
import pytest

from schema.trials import Arm, TrialState
from tailwatch import postgres, processes, release
from tailwatch.airflow_client import AirflowClient
from tailwatch.processes import Process

if TYPE_CHECKING:
    from tests.system.conftest import Fakes, Site

pytestmark = pytest.mark.airflow

Wait: TypeAlias = Callable[..., Any]
Release: TypeAlias = Callable[..., str]

CELL = "vllm/tiny-llama/bf16/cpu/tp1/enforce-eager/closed-4"
REQUESTS = 24
OLD, NEW = "0.0.1", "0.0.2"
ONCE = Counter({(arm.value, 0): 1 for arm in (Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER)})
TRIAL = "cpu.launches.trial"
GONE_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def engines(fakes: "Fakes") -> None:
    """The builds are there before the stack comes up."""
    fakes.behave(OLD)
    fakes.behave(NEW)


@pytest.fixture
def begin(
    site: "Site", fakes: "Fakes", request: pytest.FixtureRequest, wait: Wait
) -> Iterator[Release]:
    """Begins a release whose contender behaves so; returns its night. No engine is left of it."""

    def ask(**contender: float) -> str:
        site.up()  # what a fault before this one ended later
        fakes.behave(OLD)
        fakes.behave(NEW, **contender)
        night = f"2026-11-22-{re.sub('[^a-z]+', '-', request.node.name)[:80]}"
        site.begin(night, CELL, contender=f"vllm=={NEW}", baseline=OLD)
        return night

    yield ask
    wait(lambda: not fakes.processes(), "no engine is left", within_s=GONE_WITHIN_S)


def _require_gone(launched: list[Process]) -> None:
    assert launched
    assert processes.wait(launched, within_s=GONE_WITHIN_S) == []


def _require_whole(site: "Site", night: str) -> None:
    """Every launch counts once with all its requests, and the spool is empty."""
    assert site.counted(night) == ONCE
    assert site.requests(night) == {REQUESTS}
    assert site.waiting(night) == []


def test_a_night_without_faults_is_whole(site: "Site", begin: Release) -> None:
    night = begin()
    assert site.end(night).state == "success"
    _require_whole(site, night)
    assert {trial.attempt for trial in site.trials(night)} == {1}


def test_an_engine_killed_while_starting_is_started_again(
    site: "Site", fakes: "Fakes", begin: Release, wait: Wait
) -> None:
    night = begin(never_healthy=1)
    engine = wait(fakes.starting, "the contender starts", within_s=120)
    launched = fakes.launch_of(engine)
    fakes.behave(NEW)
    os.kill(engine, signal.SIGKILL)
    _require_gone(launched)

    assert site.end(night).state == "success"
    _require_whole(site, night)
    (lost,) = [trial for trial in site.trials(night) if trial.state is TrialState.FAILED]
    assert (lost.arm, lost.attempt, lost.replaced) == (Arm.RELEASE_CONTENDER, 1, True)
    assert "EngineDied: exit code 137" in (lost.reason or "")


def test_an_engine_killed_while_measured_is_measured_again_and_counts_once(
    site: "Site", fakes: "Fakes", begin: Release, wait: Wait
) -> None:
    night = begin()
    engine = wait(fakes.measured, "an engine is measured", within_s=120)
    launched = fakes.launch_of(engine)
    os.kill(engine, signal.SIGKILL)
    _require_gone(launched)

    assert site.end(night).state == "success"
    _require_whole(site, night)
    (lost,) = [trial for trial in site.trials(night) if trial.state is TrialState.FAILED]
    assert (lost.attempt, lost.replaced) == (1, True)


@pytest.mark.parametrize("whole_worker", [False, True], ids=["task", "task-and-its-worker"])
def test_a_task_killed_while_measuring_leaves_no_engine_and_is_repeated(
    site: "Site", fakes: "Fakes", begin: Release, wait: Wait, whole_worker: bool
) -> None:
    night = begin()
    engine = wait(fakes.measured, "an engine is measured", within_s=120)
    launched = fakes.launch_of(engine)
    task = fakes.task_of(launched)
    if whole_worker:
        os.kill(fakes.parent_of(task), signal.SIGKILL)
    os.kill(task, signal.SIGKILL)
    _require_gone(launched)

    assert site.end(night).state == "success"
    _require_whole(site, night)
    attempts = Counter(trial.attempt for trial in site.trials(night))
    assert attempts == {1: 1, 2: 1}  # what was killed wrote nothing


def test_a_scheduler_killed_while_measuring_costs_nothing_once_another_runs(
    site: "Site", fakes: "Fakes", begin: Release, wait: Wait
) -> None:
    night = begin()
    wait(fakes.measured, "an engine is measured", within_s=120)
    scheduler = site.stack.service("airflow-scheduler")
    assert scheduler is not None
    os.kill(scheduler.process.pid, signal.SIGKILL)
    site.up()

    assert site.end(night).state == "success"
    _require_whole(site, night)


def test_a_database_killed_while_recording_gets_the_trial_later_and_once(
    site: "Site", fakes: "Fakes", begin: Release, wait: Wait
) -> None:
    """The recorder is held inside its transaction until its server is gone. Airflow's scheduler may
    end some time after it has lost its database: then it is started again as well."""
    night = begin()
    folder = postgres.place(site.home.postgres) / "data"
    with suppress(psycopg.OperationalError), psycopg.connect(site.database) as held:
        held.execute("SELECT pg_advisory_lock(hashtext('tailwatch.record'))")
        blocked = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait(lambda: held.execute(blocked).fetchone(), "a trial is recorded", within_s=180)
        assert site.waiting(night)
        before = processes.working_in(folder)
        processes.send(before, signal.SIGKILL)
    assert before
    assert not processes.wait(before, within_s=GONE_WITHIN_S)
    assert site.waiting(night), "a document left the spool before it was stored"
    site.up()

    assert site.end(night, repair=True).state == "success"
    _require_whole(site, night)
    assert {trial.attempt for trial in site.trials(night)} == {1}


def test_marking_a_trial_failed_ends_its_engine_and_the_night_can_be_taken_up(
    site: "Site", fakes: "Fakes", begin: Release, wait: Wait
) -> None:
    night = begin()
    engine = wait(fakes.measured, "an engine is measured", within_s=120)
    launched = fakes.launch_of(engine)
    with AirflowClient(site.stack.airflow_url) as client:
        tasks = client.task_instances(release.DAG, night)
    running = [one.map_index for one in tasks if one.task == TRIAL and one.state == "running"]
    for index in running:
        _mark_failed(site, night, index)
    _require_gone(launched)

    assert site.end(night).state == "failed"
    assert site.counted(night) != ONCE
    site.take_up(night)
    assert site.end(night).state == "success"
    _require_whole(site, night)


def _mark_failed(site: "Site", night: str, index: int) -> None:
    """What the button in Airflow's pages does."""
    with httpx.Client(base_url=site.stack.airflow_url, trust_env=False, timeout=30) as http:
        token = http.get("/auth/token").json()["access_token"]
        answer = http.patch(
            f"/api/v2/dags/{release.DAG}/dagRuns/{night}/taskInstances/{TRIAL}/{index}",
            json={"new_state": "failed"},
            headers={"Authorization": f"Bearer {token}"},
        )
    answer.raise_for_status()


def test_down_also_ends_the_workers_that_a_killed_scheduler_left(site: "Site") -> None:
    """The last test: the stack stays down."""
    scheduler = site.stack.service("airflow-scheduler")
    assert scheduler is not None
    os.kill(scheduler.process.pid, signal.SIGKILL)
    site.up()
    assert processes.in_sessions([scheduler.process])
    site.down()
    assert processes.in_sessions([scheduler.process]) == []
