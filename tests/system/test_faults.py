"""Whatever is killed, no engine is left, nothing is lost and nothing counts twice.

The whole stack is real, the engines are not: they answer like vLLM and take as long as they are
told. Every moment is found by what can be seen of it, never by waiting a while.
"""

import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import psycopg
import pytest

from runners import device, server
from runners.prometheus import parse
from schema.trials import Arm, TrialState
from tailwatch import postgres, processes, release
from tailwatch.airflow import DAGS_FOLDER
from tailwatch.airflow_client import AirflowClient
from tailwatch.home import REPOSITORY, Home
from tailwatch.processes import Process

if TYPE_CHECKING:
    from tests.system.conftest import Site

pytestmark = pytest.mark.airflow

Wait: TypeAlias = Callable[..., Any]

FAKE = REPOSITORY / "tests" / "runners" / "fake_engine.py"
CELL = "vllm/tiny-llama/bf16/cpu/tp1/enforce-eager/closed-4"
REQUESTS = 24
OLD, NEW = "0.0.1", "0.0.2"
WARM = 2 * 8 * 48  # two windows of warm-up, in tokens
ONCE = Counter({(arm.value, 0): 1 for arm in (Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER)})
TRIAL = "cpu.launches.trial"
GONE_WITHIN_S = 5.0

# Seconds: two windows of warm-up take 4 and the measured window 6.
PACE = {"ttft_s": 0.05, "itl_s": 0.02}

LIFTED = """
# Other work of this machine must neither be ended nor make a trial invalid.
from runners import checks, device, measuring, server
from schema.cells import Gpu
server.MARK = device.MARK = {mark!r}
checks.FOREIGN_CPU, checks.LAG_S, measuring.AGREE = 1.0, {{Gpu.CPU: 10.0}}, 0.9
checks.TTFT_PATH_S, checks.ITL_PATH_S = {{Gpu.CPU: 10.0}}, 10.0
"""


def _behaves(home: Home, version: str, **knobs: float) -> None:
    """Give a build an interpreter that is the fake engine; the next start finds it so."""
    place = home.directory / "engines" / f"vllm-{version}-cpu"
    (place / "bin").mkdir(parents=True, exist_ok=True)
    (place / "build.json").write_text(f'{{"version": "{version}", "digest": "sha256:{version}"}}')
    variables = " ".join(f"FAKE_{name.upper()}={value}" for name, value in (PACE | knobs).items())
    run = f'exec {shlex.quote(sys.executable)} -S -E {shlex.quote(str(FAKE))} "$@"'
    half = place / "bin" / "python.half"
    half.write_text(f"#!/bin/sh\n{variables} {run}\n")
    half.chmod(0o755)
    half.rename(place / "bin" / "python")


@pytest.fixture(scope="module")
def engines(home: Home) -> Iterator[None]:
    """Two builds, and the release DAG with its limits lifted."""
    mark = f"TAILWATCH_TEST_DEVICE_{os.getpid()}"
    dags = home.directory / "dags"
    dags.mkdir()
    wiring = (REPOSITORY / "dags" / "release.py").read_text()
    (dags / "release.py").write_text(wiring + LIFTED.format(mark=mark))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DAGS_FOLDER, str(dags))
        for module in (device, server):
            patch.setattr(module, "MARK", mark)
        yield


@pytest.fixture
def night(site: "Site", request: pytest.FixtureRequest, wait: Wait) -> Iterator[str]:
    """A release of well-behaved engines that has begun; afterwards no engine is left of it."""
    for version in (OLD, NEW):
        _behaves(site.home, version)
    name = f"2026-11-22-{request.node.originalname.replace('_', '-')[:60]}"
    site.begin(name, CELL, contender=f"vllm=={NEW}", baseline=OLD)
    yield name
    wait(lambda: not site.engine_processes(), "no engine is left", within_s=GONE_WITHIN_S)


def _command(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def _engine(site: "Site") -> int | None:
    """An engine that runs."""
    found = (pid for pid in site.engine_processes() if str(FAKE) in _command(pid))
    return next(found, None)


def _tokens(pid: int) -> float:
    """How many tokens the engine has generated."""
    command = _command(pid)
    with suppress(httpx.HTTPError, ValueError):
        port = command[command.index("--port") + 1]
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        return parse(page)["vllm:generation_tokens_total"]
    return 0.0


def _measured(site: "Site") -> int | None:
    """An engine in the middle of its measured window."""
    engines = (pid for pid in site.engine_processes() if str(FAKE) in _command(pid))
    return next((pid for pid in engines if _tokens(pid) > WARM + 100), None)


def _of_its_launch(site: "Site", engine: int) -> list[Process]:
    """Everything on the engine's device: its keeper and itself."""
    mark = f"{device.MARK}=".encode()
    variables = Path(f"/proc/{engine}/environ").read_bytes().split(b"\0")
    place = next(one.removeprefix(mark).decode() for one in variables if one.startswith(mark))
    found = [processes.find(pid) for pid in device.leftovers((place,))]
    return [process for process in found if process]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _task(site: "Site", engine: int) -> int:
    """The process that runs the task: it started the keeper."""
    keepers = [pid for pid in device.leftovers(_place(engine)) if _is_keeper(pid)]
    assert len(keepers) == 1
    return _parent(keepers[0])


def _place(engine: int) -> tuple[str, ...]:
    mark = f"{device.MARK}=".encode()
    variables = Path(f"/proc/{engine}/environ").read_bytes().split(b"\0")
    return tuple(one.removeprefix(mark).decode() for one in variables if one.startswith(mark))


def _is_keeper(pid: int) -> bool:
    return any(part.endswith("runners/keeper.py") for part in _command(pid))


def _require_gone(left: list[Process]) -> None:
    stubborn = processes.wait(left, within_s=GONE_WITHIN_S)
    assert not stubborn, [_command(process.pid) for process in stubborn]


def _require_whole(site: "Site", night: str) -> None:
    """Every launch counts once with all its requests, and the spool is empty."""
    assert site.counted(night) == ONCE
    assert site.requests(night) == {REQUESTS}
    assert site.waiting(night) == []


def test_a_night_without_faults_is_whole(site: "Site", night: str) -> None:
    assert site.end(night).state == "success"
    _require_whole(site, night)
    assert {trial.attempt for trial in site.trials(night)} == {1}


def test_an_engine_killed_while_starting_is_started_again(site: "Site", wait: Wait) -> None:
    night = "2026-11-22-killed-while-starting"
    _behaves(site.home, OLD)
    _behaves(site.home, NEW, never_healthy=1)
    site.begin(night, CELL, contender=f"vllm=={NEW}", baseline=OLD)

    def starting() -> int | None:
        found = (pid for pid in site.engine_processes() if str(FAKE) in _command(pid))
        return next((pid for pid in found if _answers(pid, "/health") == 503), None)

    engine = wait(starting, "the contender starts", within_s=120)
    left = _of_its_launch(site, engine)
    _behaves(site.home, NEW)
    os.kill(engine, signal.SIGKILL)
    _require_gone(left)

    assert site.end(night).state == "success"
    _require_whole(site, night)
    (lost,) = [trial for trial in site.trials(night) if trial.state is TrialState.FAILED]
    assert (lost.arm, lost.attempt, lost.replaced) == (Arm.RELEASE_CONTENDER, 1, True)
    assert "EngineDied: exit code 137" in (lost.reason or "")


def _answers(pid: int, path: str) -> int | None:
    command = _command(pid)
    with suppress(httpx.HTTPError, ValueError):
        port = command[command.index("--port") + 1]
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code
    return None


def test_an_engine_killed_while_measured_is_measured_again_and_counts_once(
    site: "Site", night: str, wait: Wait
) -> None:
    engine = wait(lambda: _measured(site), "an engine is measured", within_s=120)
    left = _of_its_launch(site, engine)
    os.kill(engine, signal.SIGKILL)
    _require_gone(left)

    assert site.end(night).state == "success"
    _require_whole(site, night)
    (lost,) = [trial for trial in site.trials(night) if trial.state is TrialState.FAILED]
    assert (lost.attempt, lost.replaced) == (1, True)


@pytest.mark.parametrize("whole_worker", [False, True], ids=["task", "task-and-its-worker"])
def test_a_task_killed_while_measuring_leaves_no_engine_and_is_repeated(
    site: "Site", wait: Wait, whole_worker: bool
) -> None:
    night = f"2026-11-22-task-killed-{int(whole_worker)}"
    for version in (OLD, NEW):
        _behaves(site.home, version)
    site.begin(night, CELL, contender=f"vllm=={NEW}", baseline=OLD)
    engine = wait(lambda: _measured(site), "an engine is measured", within_s=120)
    left = _of_its_launch(site, engine)
    task = _task(site, engine)
    if whole_worker:
        os.kill(_parent(task), signal.SIGKILL)
    os.kill(task, signal.SIGKILL)
    _require_gone(left)

    assert site.end(night).state == "success"
    _require_whole(site, night)
    attempts = Counter(trial.attempt for trial in site.trials(night))
    assert attempts == {1: 1, 2: 1}  # what was killed wrote nothing


def test_a_scheduler_killed_while_measuring_costs_nothing_once_another_runs(
    site: "Site", night: str, wait: Wait
) -> None:
    wait(lambda: _measured(site), "an engine is measured", within_s=120)
    scheduler = site.stack.service("airflow-scheduler")
    assert scheduler is not None
    os.kill(scheduler.process.pid, signal.SIGKILL)
    site.up()

    assert site.end(night).state == "success"
    _require_whole(site, night)


def test_a_database_killed_while_recording_gets_the_trial_later_and_once(
    site: "Site", night: str, wait: Wait
) -> None:
    """The recorder is held inside its transaction until its server is gone."""
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

    assert site.end(night).state == "success"
    _require_whole(site, night)
    assert {trial.attempt for trial in site.trials(night)} == {1}


def test_marking_a_trial_failed_ends_its_engine_and_the_night_can_be_taken_up(
    site: "Site", night: str, wait: Wait
) -> None:
    engine = wait(lambda: _measured(site), "an engine is measured", within_s=120)
    left = _of_its_launch(site, engine)
    with AirflowClient(site.stack.airflow_url) as client:
        tasks = client.task_instances(release.DAG, night)
    running = [one.map_index for one in tasks if one.task == TRIAL and one.state == "running"]
    began = time.monotonic()
    for index in running:
        _mark_failed(site, night, index)
    _require_gone(left)
    print(f"engine gone {time.monotonic() - began:.1f} s after the trial was marked failed")

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
