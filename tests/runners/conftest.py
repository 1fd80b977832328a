"""A fake engine behind the real protocol: keeper, locks, readiness, client, checks and spool."""

import gc
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from runners import cards, checks, device, measuring, server
from runners.builds.environment import InstalledEngine
from runners.launch import Options, launch
from runners.server import free_port
from schema.arrivals import Arrival
from schema.cells import Cell, Engine, Family, Gpu, Precision, Workload
from schema.hosts import Card
from schema.lengths import Lengths
from schema.models import Model, Weights
from schema.nights import PlannedLaunch
from schema.trials import Arm, BuildSpec, Launch

FAKE_NVML = Path(__file__).with_name("fake_nvml")
FAKE = Path(__file__).with_name("fake_engine.py")
BUILD = "vllm==0.32.0"

CellMaker: TypeAlias = Callable[..., Cell]
PlanMaker: TypeAlias = Callable[..., PlannedLaunch]
InterpreterMaker: TypeAlias = Callable[..., str]
Launcher: TypeAlias = Callable[..., Launch]
Served: TypeAlias = Callable[..., str]


@pytest.fixture(scope="session", autouse=True)
def small_heap() -> Iterator[None]:
    """The client collects garbage before every window: 0.1 s of all that the tests imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def tiny() -> Model:
    """A model that costs nothing to name."""
    return Model(
        name="tiny",
        weights=Weights.DUMMY,
        layers=2,
        hidden=128,
        intermediate=256,
        heads=4,
        kv_heads=2,
        head_dim=32,
        vocabulary=1024,
        experts=8,
        active_experts=2,
        max_position=4096,
    )


@pytest.fixture
def make_cell(tiny: Model) -> CellMaker:
    """A closed loop of 4 on a CPU; `family` and `workload` change parts of it."""

    def make(family: dict[str, Any] | None = None, **workload: Any) -> Cell:
        parts: dict[str, Any] = {
            "engine": Engine.VLLM,
            "model": tiny,
            "precision": Precision.BF16,
            "gpu": Gpu.CPU,
            "max_model_len": 2048,
        }
        asked: dict[str, Any] = {
            "name": "closed-4",
            "arrival": Arrival.CLOSED_LOOP,
            "concurrency": 4,
            "requests": 12,
            "input_tokens": Lengths(mean=16, longest=16),
            "output_tokens": Lengths(mean=12, longest=12),
        }
        if workload.get("arrival", Arrival.CLOSED_LOOP) is not Arrival.CLOSED_LOOP:
            del asked["concurrency"]
        return Cell(family=Family(**parts | (family or {})), workload=Workload(**asked | workload))

    return make


@pytest.fixture
def make_plan(make_cell: CellMaker) -> PlanMaker:
    """One planned launch of the cells, of one usual cell without any."""

    def make(*cells: Cell, build: str = BUILD) -> PlannedLaunch:
        return PlannedLaunch(
            night="2026-11-22",
            arm=Arm.NIGHTLY,
            build=BuildSpec.parse(build),
            cells=cells or (make_cell(),),
            replicate=0,
        )

    return make


@pytest.fixture
def interpreter(tmp_path: Path) -> InterpreterMaker:
    """Path of an executable that stands for an environment's python and runs the fake engine."""

    def write(**behaviour: float) -> str:
        path = tmp_path / f"python-{len(list(tmp_path.glob('python-*')))}"
        knobs = "".join(f"FAKE_{name.upper()}={value} " for name, value in behaviour.items())
        run = f'exec {shlex.quote(sys.executable)} -S -E {shlex.quote(str(FAKE))} "$@"'
        path.write_text(f"#!/bin/sh\n{knobs}{run}\n")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def fake(interpreter: InterpreterMaker) -> Iterator[Served]:
    """Start a fake engine outside a launch; returns its address. It serves the name `fake`."""
    with ExitStack() as stack:
        yield lambda **behaviour: stack.enter_context(_serving(interpreter(**behaviour)))


@contextmanager
def _serving(python: str) -> Iterator[str]:
    port = free_port()
    command = [python, "-c", "serve", "--port", str(port), "--served-model-name", "fake"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url)
            yield url
        finally:
            process.kill()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(url + "/health", trust_env=False, verify=False)
        except httpx.HTTPError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"the fake engine did not start at {url}")


@pytest.fixture
def mark() -> str:
    """The variable that engine processes carry: not that of real launches on this machine."""
    return f"TAILWATCH_TEST_DEVICE_{free_port()}"


@pytest.fixture
def alone(tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks and leftovers of this test only; returns the folder of the locks."""
    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(locks))
    monkeypatch.setattr(device, "MARK", mark)
    monkeypatch.setattr(server, "MARK", mark)
    return locks


@pytest.fixture
def run_launch(
    alone: Path,
    tmp_path: Path,
    make_plan: PlanMaker,
    interpreter: InterpreterMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> Launcher:
    """Run a plan against a fake engine that behaves so.

    Limits that judge how busy this machine is are lifted: other tests run on it. In windows of a
    few ticks of the kernel's accounts others may even have used more than all of it.
    """
    monkeypatch.setattr(checks, "FOREIGN_CPU", 100.0)
    monkeypatch.setattr(checks, "CLOCK_MOVED_S", 10.0)
    monkeypatch.setattr(checks, "LAG_S", {Gpu.CPU: 10.0})
    monkeypatch.setattr(checks, "MERGED_SHARE", {Gpu.CPU: 1.0})
    monkeypatch.setattr(checks, "TTFT_PATH_S", {Gpu.CPU: 10.0})
    monkeypatch.setattr(checks, "ITL_PATH_S", 10.0)
    for limit in ("GPU_LAG_S", "GPU_MERGED_SHARE", "GPU_TTFT_PATH_S"):
        monkeypatch.setattr(checks, limit, 10.0)
    monkeypatch.setattr(measuring, "AGREE", 0.9)

    def run(
        plan: PlannedLaunch | None = None, options: dict[str, Any] | None = None, **behaviour: float
    ) -> Launch:
        usual: dict[str, Any] = {"home": tmp_path / "home", "ready_within_s": 20.0}
        chosen = Options(**usual | (options or {}))
        return launch(plan or make_plan(), InstalledEngine(interpreter(**behaviour)), chosen)

    return run


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A host with two H100s, of which processes that it starts read made-up NVML; their UUIDs."""
    found = tuple(
        Card(uuid=uuid, name="NVIDIA H100 80GB HBM3", memory_bytes=85_520_809_984)
        for uuid in ("GPU-1", "GPU-2")
    )
    path = os.pathsep.join([str(FAKE_NVML), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))
    monkeypatch.setattr(cards, "describe", lambda: (found, "580.95", "13.0"))
    monkeypatch.setattr(cards, "present", lambda: found)
    monkeypatch.setattr(cards, "processes", lambda *_: {})
    return tuple(card.uuid for card in found)


@pytest.fixture
def engine_processes(alone: Path) -> Callable[[], list[int]]:
    """Processes of engines that this test launched and that still run."""
    places = tuple(f"cpu-{number}" for number in range(device.CPU_PLACES))
    return lambda: device.leftovers(places)


@contextmanager
def _ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def ended() -> Callable[["subprocess.Popen[str]"], AbstractContextManager["subprocess.Popen[str]"]]:
    """A process that is gone after the body."""
    return _ended
