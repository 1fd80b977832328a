"""Realistic nights for the dashboard: two tiny models, two workloads, two builds of vLLM.

The contender makes tokens of `tiny-mixtral` about 9 % slower and saves memory everywhere. One
launch failed and was repeated, one trial is invalid, and six quiet nights went before.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
import streamlit as st
from playwright.sync_api import Page, sync_playwright
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from regressions.night import judge_night
from regressions.policy import read_policy
from schema.arrivals import Arrival
from schema.cells import Cell, Engine, Family, Gpu, Precision, Workload
from schema.hosts import Card, Host
from schema.lengths import Lengths
from schema.models import Model, Weights
from schema.nights import Night, NightKind
from schema.requests import Request
from schema.session import writing
from schema.store.annotations import annotate
from schema.store.launches import record
from schema.store.nights import record_night
from schema.trials import Arm, Artefact, Build, Check, Launch, Telemetry, Trial, TrialState

NIGHT = "2026-11-21-release-vllm-0.32.0-vs-0.31.0"
APP = Path(__file__).parents[2] / "dashboard" / "app.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
STARTS_WITHIN_S = 60
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
_GIB = 2**30
_HOST = Host(
    name="bench-01", gpu=Gpu.H100, driver="570.86.15", cuda="12.8", cpu="AMD EPYC 9554 64-Core",
    cores=128, memory_bytes=1511 * _GIB, kernel="6.8.0-60-generic", python="3.11.7",
    cards=(Card(uuid="GPU-5d1f0c3a-77aa", name="NVIDIA H100 80GB HBM3", memory_bytes=81559 * 2**20,
                power_limit_w=700.0, sm_clock_max_hz=1.98e9, ecc=True),),
)  # fmt: skip
_ARMS = {Arm.RELEASE_BASELINE: "0.31.0", Arm.RELEASE_CONTENDER: "0.32.0", Arm.NIGHTLY: "0.31.0"}
_LOG = """INFO 11-21 01:03:12 [core.py:84] Initializing a V1 LLM engine (v{0})
INFO 11-21 01:03:41 [gpu_model_runner.py:2392] Model loading took 15.02 GiB and 4.1 seconds
INFO 11-21 01:04:07 [kv_cache_utils.py:864] GPU KV cache size: 407,296 tokens
INFO 11-21 01:04:20 [api_server.py:1880] Application startup complete."""


def _model(name: str, experts: int) -> Model:
    return Model(
        name=f"tailwatch/{name}", weights=Weights.DUMMY, layers=2, hidden=128, intermediate=256,
        heads=4, kv_heads=2, head_dim=32, vocabulary=1024, experts=experts,
        active_experts=min(2, experts), max_position=4096,
    )  # fmt: skip


def _cells() -> tuple[Cell, ...]:
    lengths = Lengths(mean=64, longest=64)
    shared = {"requests": 60, "input_tokens": lengths, "output_tokens": lengths}
    workloads = (
        Workload(name="closed-4", arrival=Arrival.CLOSED_LOOP, concurrency=4, **shared),
        Workload(name="open-3", arrival=Arrival.OPEN_LOOP, rate=3.0, **shared),
    )
    families = [
        Family(engine=Engine.VLLM, model=_model(name, experts), precision=Precision.BF16,
               gpu=Gpu.H100, max_model_len=2048, kv_cache_bytes=_GIB)
        for name, experts in (("tiny-mixtral", 8), ("tiny-llama", 1))
    ]  # fmt: skip
    return tuple(Cell(family=family, workload=load) for family in families for load in workloads)


CELLS = _cells()


def _requests(
    cell: Cell, slowdown: float, replicate: int, random: np.random.Generator
) -> tuple[Request, ...]:
    gap = (0.0061 if cell.family.model.is_moe else 0.0043) * slowdown * random.normal(1, 0.006)
    lanes, rows = [0.0] * 4, []
    arrivals = np.cumsum(np.random.default_rng(replicate).exponential(1 / 3, 60))
    for index in range(60):
        lane = int(np.argmin(lanes))
        open_loop = cell.workload.rate is not None
        scheduled = float(arrivals[index]) if open_loop else lanes[lane]
        sent = scheduled + float(random.exponential(0.0004))
        first = sent + float(random.lognormal(np.log(0.034), 0.16))
        gaps = gap * random.lognormal(0, 0.09, 63) * np.where(random.random(63) < 0.03, 3.4, 1)
        events = (first, *(first + np.cumsum(gaps)).tolist())
        lanes[lane] = events[-1]
        rows.append(Request(index=index, scheduled_s=scheduled, sent_s=sent, input_tokens=64,
                            output_tokens=64, event_s=events,
                            event_tokens=tuple(range(1, 65))))  # fmt: skip
    return tuple(rows)


def _measured(requests: Sequence[Request], contender: bool) -> dict[str, float]:
    ttft = [own.event_s[0] - own.sent_s for own in requests]
    e2e = [own.event_s[-1] - own.scheduled_s for own in requests]
    itl = np.concatenate([np.diff(own.event_s) for own in requests])
    values = {
        "output_throughput": 64 * len(requests) / max(own.event_s[-1] for own in requests),
        "ttft_p50": np.quantile(ttft, 0.5),
        "itl_p50": np.quantile(itl, 0.5),
        "itl_p90": np.quantile(itl, 0.9),
        "itl_p99": np.quantile(itl, 0.99),
        "tpot_p50": np.median([np.mean(np.diff(own.event_s)) for own in requests]),
        "e2e_p50": np.quantile(e2e, 0.5),
        "tail_ratio_itl": np.quantile(itl, 0.99) / np.quantile(itl, 0.5),
        "gpu_memory_peak": (18.2 if contender else 18.9) * _GIB,
        "kv_cache_capacity": 16384,
    }
    return {name: float(value) for name, value in values.items()}


def make_trial(
    cell: Cell, arm: Arm, replicate: int, at: datetime, state: TrialState = TrialState.VALID
) -> Trial:
    """One trial of a cell; a failed one has nothing to show but its reason."""
    if state is TrialState.FAILED:
        reason = "the engine died with exit code 1 before it was ready"
        return Trial(cell=cell, state=state, reason=reason, seed=replicate)
    contender = arm is Arm.RELEASE_CONTENDER
    random = np.random.default_rng([replicate, CELLS.index(cell), list(Arm).index(arm), at.day])
    slow = contender and cell.family.model.is_moe
    requests = _requests(cell, 1.09 if slow else 1.0, replicate, random)
    lag = 0.0021 if state is TrialState.INVALID else 0.0002
    return Trial(
        cell=cell, state=state, seed=replicate, started_at=at + timedelta(seconds=70),
        reason="client loop lag was 2.1 ms, the limit is 1 ms"
        if state is TrialState.INVALID else None,
        duration_s=max(own.event_s[-1] for own in requests),
        measurements=_measured(requests, contender),
        not_estimable={"ttft_p99": "60 requests, p99 needs 1000",
                       "e2e_p99": "60 requests, p99 needs 1000"},
        checks=(
            Check(name="output-tokens", passed=True, observed=3840, limit=3840, unit="tok"),
            Check(name="client-loop-lag", passed=lag < 0.001, observed=lag, limit=0.001, unit="s"),
            Check(name="itl-agrees-with-server", passed=True, observed=0.011, limit=0.03),
        ),
        requests=requests,
        server={"vllm:generation_tokens_total": 3840.0},
    )  # fmt: skip


def make_launch(
    cells: Sequence[Cell],
    arm: Arm,
    replicate: int,
    *,
    night: str = NIGHT,
    attempt: int = 1,
    state: TrialState = TrialState.VALID,
) -> Launch:
    """One engine launch that serves `cells`; `state` is that of its first trial."""
    order = 4 * replicate + 2 * (arm is Arm.RELEASE_CONTENDER) + cells[0].family.model.is_moe
    at = datetime.fromisoformat(night[:10]).replace(tzinfo=UTC)
    at += timedelta(hours=1, minutes=4 * order + attempt)
    version = _ARMS[arm]
    dead = state is TrialState.FAILED
    states = [state] + [state if dead else TrialState.VALID] * (len(cells) - 1)
    readings = tuple(
        Telemetry(at_s=float(second), device=_HOST.cards[0].uuid, power_w=310.0,
                  memory_bytes=int((18.2 if second > 25 else 0.7 * second) * _GIB),
                  utilisation=0.86 + 0.1 * np.sin(second) if second > 60 else 0.05)
        for second in range(0, 100, 2)
    )  # fmt: skip
    return Launch(
        night=night, arm=arm, replicate=replicate, attempt=attempt, host=_HOST,
        build=Build(engine=Engine.VLLM, version=version, artefact=Artefact.ENVIRONMENT,
                    digest=f"9c41{version.replace('.', '')}be7a02", source_commit="a1b2c3d4e5",
                    packages=("torch==2.13.0", f"vllm=={version}")),
        started_at=at, ended_at=at + timedelta(seconds=100), caches_warm=True,
        startup_s=None if dead else 41.7 + replicate / 10, overhead_s=6.3,
        command=("vllm", "serve", cells[0].family.model.name, "--max-model-len", "2048"),
        environment={"VLLM_USE_V1": "1", "CUDA_VISIBLE_DEVICES": "0"},
        phases_s={"launch": 41.7, "warm up": 9.2, "measure": 28.4, "stop": 3.1},
        effective={"max_num_seqs": "256"}, telemetry=() if dead else readings,
        log_tail="RuntimeError: CUDA error: out of memory" if dead else _LOG.format(version),
        trials=tuple(make_trial(cell, arm, replicate, at, own)
                     for cell, own in zip(cells, states, strict=True)),
    )  # fmt: skip


def release_launches() -> Iterator[Launch]:
    """Five launches a side and family, one of which failed first; one trial is invalid."""
    for arm in (Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER):
        for replicate in range(5):
            for cells in (CELLS[:2], CELLS[2:]):
                moe = cells[0].family.model.is_moe
                invalid = moe and (arm, replicate) == (Arm.RELEASE_BASELINE, 3)
                attempt = 1
                if not moe and (arm, replicate) == (Arm.RELEASE_CONTENDER, 2):
                    yield make_launch(cells, arm, replicate, state=TrialState.FAILED)
                    attempt = 2
                state = TrialState.INVALID if invalid else TrialState.VALID
                yield make_launch(cells, arm, replicate, attempt=attempt, state=state)


def quiet_launches() -> Iterator[Launch]:
    """The nightly arm of the six nights before."""
    for day in range(14, 20):
        for cells in (CELLS[:2], CELLS[2:]):
            yield make_launch(cells, Arm.NIGHTLY, 0, night=f"2026-11-{day}")


def make_night(name: str = NIGHT) -> Night:
    release = name == NIGHT
    return Night(
        name=name, kind=NightKind.RELEASE if release else NightKind.NIGHTLY, matrix="demo",
        matrix_digest="7d0a", contenders=("vllm==0.32.0" if release else "vllm==0.31.0",),
        baselines=("vllm==0.31.0",) if release else (), cells=CELLS,
        launches=20 if release else 2,
    )  # fmt: skip


def fill(url: str) -> None:
    """Store six quiet nights, and the release night with its judgements and one annotation."""
    with writing(url) as session:
        for day in range(14, 20):
            record_night(session, make_night(f"2026-11-{day}"))
        record_night(session, make_night())
        for launch in (*quiet_launches(), *release_launches()):
            record(session, launch)
        judge_night(session, NIGHT, read_policy())
        annotate(session, "2026-11-17", "driver 570.86.15", author="ops")


@dataclass(frozen=True, kw_only=True)
class Release:
    """The seeded release night, and what a test links to."""

    url: str
    night: str
    cell: str
    """Key of the cell that got slower."""
    slug: str
    valid: str
    """Key of a valid trial of that cell."""
    invalid: str
    failed: str


@pytest.fixture(scope="session")
def release(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[Release]:
    """A database with the seeded nights; tests only read it."""
    with new_database() as url:
        fill(url)
        yield _described(url)


@pytest.fixture
def own(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The address of a database with the seeded nights that a test may write to."""
    with new_database() as url:
        fill(url)
        yield url


def _described(url: str) -> Release:
    trials = [
        (launch.trial_key(own), own) for launch in release_launches() for own in launch.trials
    ]
    slow = CELLS[1]
    return Release(
        url=url,
        night=NIGHT,
        cell=slow.key,
        slug=slow.slug,
        valid=next(key for key, own in trials if own.state == "valid" and own.cell == slow),
        invalid=next(key for key, own in trials if own.state == "invalid"),
        failed=next(key for key, own in trials if own.state == "failed"),
    )


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens a page of the app over a database, as a deep link with these parameters would."""
    st.cache_data.clear()
    # AppTest reads the metadata of every installed package again and again, to find components
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", list)

    def opened(url: str | None, view: str = "tonight", **parameters: str) -> AppTest:
        if url is None:
            monkeypatch.delenv("DATABASE_URL", raising=False)
        else:
            monkeypatch.setenv("DATABASE_URL", url)
        page = AppTest.from_file(str(APP), default_timeout=60).run()
        page.switch_page(f"views/{view}.py")
        for name, value in parameters.items():
            page.query_params[name] = value
        return page.run()

    yield opened
    st.cache_data.clear()


@pytest.fixture(scope="session")
def serving() -> Callable[[str, Path], AbstractContextManager[str]]:
    """Address of a dashboard over a database; its log lies in the folder."""
    return _serving


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _serving(url: str, folder: Path) -> Iterator[str]:
    port = _free_port()
    command = [
        sys.executable, "-m", "streamlit", "run", str(APP),
        "--server.headless", "true", "--server.address", "127.0.0.1", "--server.port", str(port),
    ]  # fmt: skip
    log = folder / "log"
    environment = os.environ | {"DATABASE_URL": url}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=APP.parents[1]
        )
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(address, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the dashboard did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser.new_page(viewport={"width": 1500, "height": 1200})
        browser.close()


@pytest.fixture
def page(browser_page: Page) -> Iterator[Page]:
    """The browser; a test fails when a script on the page does."""
    errors: list[str] = []

    def note(error: Exception) -> None:
        errors.append(str(error))

    browser_page.on("pageerror", note)
    yield browser_page
    browser_page.remove_listener("pageerror", note)
    assert errors == []
