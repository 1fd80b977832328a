"""A whole stack of a module's own: databases, Airflow, dashboard, and engines that it is given."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from runners import device
from schema.session import reading
from schema.store.trials import TrialSummary, requests, trials_of_night
from schema.store.values import values_of_night
from tailwatch import postgres, release, stack
from tailwatch.airflow_client import AirflowClient, DagRun
from tailwatch.databases import find_database
from tailwatch.follow import follow
from tailwatch.home import Home
from tailwatch.progress import Progress

T = TypeVar("T")

PLACES = tuple(f"cpu-{number}" for number in range(device.CPU_PLACES))
METRIC = "output_throughput"


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

    def end(self, night: str) -> DagRun:
        """Wait until the night's run has ended."""

        def alive() -> None:
            stack.require_alive(self.stack)

        with AirflowClient(self.stack.airflow_url) as client:
            return follow(client, release.DAG, night, _show, alive, poll_s=1.0)

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

    def requests(self, night: str) -> set[int]:
        """Numbers of requests that the night's valid trials have in the database."""
        valid = [one.key for one in self.trials(night) if one.state == "valid"]
        with reading(self.database) as session:
            return {len(requests(session, key)) for key in valid}

    def waiting(self, night: str) -> list[Path]:
        """Documents in the spool."""
        return list(self.home.spool.glob(f"{night}/*"))

    def engine_processes(self) -> list[int]:
        """Every process that carries the mark of a launch: keepers and engines."""
        return device.leftovers(PLACES)


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
