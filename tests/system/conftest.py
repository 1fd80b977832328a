"""A whole stack of a module's own: databases, Airflow, dashboard, and engines that it is given."""

import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import httpx
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from alerts.night import read_digest
from alerts.text import as_text
from runners import device, keeper
from runners.prometheus import parse
from schema.episodes import Episode
from schema.session import reading
from schema.store.episodes import episodes
from schema.store.requests import requests
from schema.store.trials import TrialSummary, trials_of_night
from schema.store.values import values_of_night
from tailwatch import postgres, processes, release, stack
from tailwatch.airflow import DAGS_FOLDER
from tailwatch.airflow_client import AirflowClient, DagRun, TaskInstance
from tailwatch.databases import find_database
from tailwatch.errors import ServiceDied
from tailwatch.follow import follow
from tailwatch.home import REPOSITORY, Home
from tailwatch.processes import Process
from tailwatch.progress import Progress

T = TypeVar("T")

DASHBOARD = REPOSITORY / "dashboard" / "app.py"
FAKE = REPOSITORY / "tests" / "runners" / "fake_engine.py"
PACE = {"ttft_s": 0.05, "itl_s": 0.02}
"""Two windows of warm-up take 4 s then, and the measured window 6 s."""
WARM = 2 * 8 * 48
"""Tokens of two windows of warm-up."""
MARK = f"TAILWATCH_TEST_DEVICE_{os.getpid()}"
LIFTED = f"""
# Other work of this machine must neither be ended nor make a trial invalid.
from runners import checks, device, measuring, server
from schema.cells import Gpu
server.MARK = device.MARK = {MARK!r}
checks.FOREIGN_CPU, checks.LAG_S, measuring.AGREE = 1.0, {{Gpu.CPU: 10.0}}, 0.9
checks.TTFT_PATH_S, checks.ITL_PATH_S = {{Gpu.CPU: 10.0}}, 10.0
checks.MERGED_SHARE = {{Gpu.CPU: 1.0}}
"""
PLACES = tuple(f"cpu-{number}" for number in range(device.CPU_PLACES))
METRIC = "output_throughput"
NIGHTLY = "nightly"


def _say(_: str) -> None:
    """Nobody reads along."""


def _show(_: Progress) -> None:
    """Nobody looks on."""


class Site:
    """A stack, and the nights that are asked of it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.up()

    def up(self) -> None:
        """Start whatever does not run."""
        self.stack = stack.up(self.home, _say)

    def down(self) -> None:
        stack.down(self.home, _say)

    @property
    def database(self) -> str:
        return find_database(self.home)

    def begin(self, night: str, *cells: str, contender: str, baseline: str) -> None:
        """Ask for one launch a side of these cells of the demo matrix."""
        asked = release.ask(
            contender, baseline, matrix="demo", launches=1, cells=cells, night=night
        )
        with AirflowClient(self.stack.airflow_url) as client:
            release.begin(client, asked)

    def begin_nightly(self, night: str, *builds: str, matrix: str) -> None:
        """Ask for the nightly pass of a date that has been, over a matrix of the test's own."""
        body = {
            "dag_run_id": night,
            "logical_date": None,
            "run_after": f"{night}T02:00:00Z",
            "conf": {"builds": list(builds), "matrix": matrix},
        }
        url = self.stack.airflow_url
        with AirflowClient(url) as client:
            client.wait_for_dag(NIGHTLY, within_s=release.DAG_KNOWN_WITHIN_S)
            client.unpause(NIGHTLY)
        with httpx.Client(base_url=url, trust_env=False, timeout=30.0) as http:
            token = http.get("/auth/token").json()["access_token"]
            http.post(
                f"/api/v2/dags/{NIGHTLY}/dagRuns",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            ).raise_for_status()

    def tasks(self, dag: str, night: str) -> list[TaskInstance]:
        with AirflowClient(self.stack.airflow_url) as client:
            return client.task_instances(dag, night)

    def end(
        self, night: str, *, dag: str = release.DAG, poll_s: float = 1.0, repair: bool = False
    ) -> DagRun:
        """Wait until the night's run has ended.

        `repair` does what the message says when a service ended: it starts it again.
        """

        def alive() -> None:
            try:
                stack.require_alive(self.stack)
            except ServiceDied:
                if not repair:
                    raise
                self.up()

        with AirflowClient(self.stack.airflow_url) as client:
            return follow(client, dag, night, _show, alive, poll_s=poll_s)

    def take_up(self, night: str) -> None:
        """Repeat what failed, as a person would."""
        with AirflowClient(self.stack.airflow_url) as client:
            client.clear_failed(release.DAG, night)

    def trials(self, night: str) -> list[TrialSummary]:
        with reading(self.database) as session:
            return trials_of_night(session, night)

    def counted(self, night: str) -> Counter[tuple[str, int]]:
        """How often each (arm, replicate) enters a sample."""
        with reading(self.database) as session:
            values = values_of_night(session, night)
        return Counter((one.arm.value, one.replicate) for one in values if one.metric == METRIC)

    def arms(self, night: str) -> dict[str, int]:
        """How many trials of each arm enter samples."""
        return dict(Counter(arm for arm, _ in self.counted(night).elements()))

    def confirms(self, night: str) -> bool:
        """Whether a trial that confirms something is stored."""
        return any(trial.arm.startswith("confirm") for trial in self.trials(night))

    def opened_in(self, night: str) -> list[Episode]:
        with reading(self.database) as session:
            return [one for one in episodes(session) if one.opened == night]

    def told(self, night: str) -> str:
        """The digest."""
        with reading(self.database) as session:
            return as_text(read_digest(session, night))

    def shown(self, view: str, **parameters: str) -> str:
        """What a page of the dashboard says over the stack's database."""
        streamlit.cache_data.clear()
        with patch.dict(os.environ, DATABASE_URL=self.database):
            page = AppTest.from_file(str(DASHBOARD), default_timeout=60).run()
            page.switch_page(f"views/{view}.py")
            for name, value in parameters.items():
                page.query_params[name] = value
            page.run()
        assert not page.exception, page.exception
        return re.sub(r"<[^>]+>", " ", " ".join(one.body for one in page.html))

    def requests(self, night: str) -> set[int]:
        """Numbers of requests that the night's valid trials have in the database."""
        valid = [one.key for one in self.trials(night) if one.state == "valid"]
        with reading(self.database) as session:
            return {len(requests(session, key)) for key in valid}

    def waiting(self, night: str) -> list[Path]:
        """Documents in the spool."""
        return list(self.home.spool.glob(f"{night}/*"))


class Fakes:
    """Engines that answer like vLLM and take as long as they are told."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def behave(self, version: str, **knobs: float) -> None:
        """Provide this build of vLLM: the next start finds it behaving so."""
        place = self.home.directory / "engines" / f"vllm-{version}-cpu"
        (place / "bin").mkdir(parents=True, exist_ok=True)
        facts = {"version": version, "digest": f"sha256:{version}"}
        (place / "build.json").write_text(json.dumps(facts))
        variables = [f"FAKE_{name.upper()}={value}" for name, value in (PACE | knobs).items()]
        run = f'exec {shlex.quote(sys.executable)} -S -E {shlex.quote(str(FAKE))} "$@"'
        half = place / "bin" / "python.half"
        half.write_text("\n".join(["#!/bin/sh", f"export {' '.join(variables)}", run, ""]))
        half.chmod(0o755)
        half.rename(place / "bin" / "python")

    def processes(self) -> list[int]:
        """Every process that carries the mark of a launch: keepers and engines."""
        return device.leftovers(PLACES)

    def starting(self) -> int | None:
        """An engine that is not healthy yet."""
        seen = self._pages("/health")
        return next((pid for pid, answer in seen.items() if answer.is_error), None)

    def measured(self) -> int | None:
        """An engine in the middle of its measured window."""
        for pid, answer in self._pages("/metrics").items():
            if parse(answer.text)["vllm:generation_tokens_total"] > WARM + 100:
                return pid
        return None

    def serving(self) -> int | None:
        """An engine that is healthy."""
        seen = self._pages("/health")
        return next((pid for pid, answer in seen.items() if answer.is_success), None)

    def task_of(self, launched: list[Process]) -> int:
        """The process that runs the task: it started the keeper."""
        commands = {one.pid: Path(f"/proc/{one.pid}/cmdline").read_text() for one in launched}
        (kept,) = [pid for pid, command in commands.items() if keeper.__file__ in command]
        return self.parent_of(kept)

    @staticmethod
    def parent_of(pid: int) -> int:
        return int(keeper.stat_fields(pid)[1])

    def launch_of(self, engine: int) -> list[Process]:
        """The engine and its keeper: whoever carries the mark of the same place."""
        variables = Path(f"/proc/{engine}/environ").read_text().split("\0")
        places = tuple(
            value for name, _, value in (one.partition("=") for one in variables) if name == MARK
        )
        found = [processes.find(pid) for pid in device.leftovers(places)]
        return [process for process in found if process]

    def _pages(self, path: str) -> dict[int, httpx.Response]:
        """What each engine that answers has to say."""
        seen = {}
        for pid in self.processes():
            with suppress(OSError, ValueError, httpx.HTTPError):
                command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if str(FAKE) in command:  # not its keeper
                    port = command[command.index("--port") + 1]
                    seen[pid] = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
        return seen


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Empty, with device locks of its own; nothing of it is left afterwards."""
    directory = tmp_path_factory.mktemp("site")
    ours, locks = Home(directory=directory / "home"), directory / "locks"
    locks.mkdir()
    ours.directory.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "SLACK_BOT_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("TMPDIR", str(locks))
        patch.setattr(tempfile, "tempdir", str(locks))
        yield ours
        stack.down(ours, _say)
        postgres.remove(ours.postgres)


@pytest.fixture(scope="module")
def nightly_of(home: Home) -> Iterator[Callable[..., None]]:
    """Writes the nightly DAG, which nothing starts by itself, over the matrices in `home`, with the
    limits lifted that judge a machine's peace."""
    folders = [home.directory / name for name in ("dags", "matrices")]
    for folder in folders:
        folder.mkdir()
    places = f"""import pathlib, schema.matrix
schema.matrix.MATRICES = pathlib.Path({str(folders[1])!r})
"""

    def write(more: str = "") -> None:
        wiring = (REPOSITORY / "dags" / "nightly.py").read_text()
        unscheduled = wiring.replace('schedule="0 2 * * *"', "schedule=None")
        assert unscheduled != wiring
        (folders[0] / "nightly.py").write_text(places + unscheduled + LIFTED + more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DAGS_FOLDER, str(folders[0]))
        yield write


@pytest.fixture(scope="module")
def fakes(home: Home, nightly_of: Callable[..., None]) -> Iterator[Fakes]:
    """Fake engines, and both DAGs with the limits lifted that judge a machine's peace."""
    wiring = (REPOSITORY / "dags" / "release.py").read_text()
    (home.directory / "dags" / "release.py").write_text(wiring + LIFTED)
    nightly_of()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "MARK", MARK)
        yield Fakes(home)


@pytest.fixture(scope="session")
def kept_engines() -> Path:
    """Installed engines outlive the tests: another one costs minutes and gigabytes."""
    given = os.environ.get("TAILWATCH_TEST_ENGINES")
    kept = Path(given) if given else REPOSITORY / ".tailwatch" / "engines"
    kept.mkdir(parents=True, exist_ok=True)
    return kept.resolve()


@pytest.fixture(scope="module")
def installed(home: Home, kept_engines: Path) -> None:
    (home.directory / "engines").symlink_to(kept_engines)


@pytest.fixture(scope="module")
def site(home: Home, engines: None) -> Site:
    """The stack is up. A module's own `engines` puts its engines in place before that."""
    return Site(home)


@pytest.fixture(scope="session")
def wait() -> Callable[..., object]:
    """Wait until something is so, and return it."""

    def until(so: Callable[[], T], what: str, *, within_s: float) -> T:
        deadline = time.monotonic() + within_s
        while not (found := so()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s:g} s: {what}")
            time.sleep(0.1)
        return found

    return until
