"""plan, execute on a host with nothing but Python and the engine, be killed, go on, record."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from runners import spool
from runners.bundles.begin import NEEDS
from runners.bundles.execute import DONE, MORE
from runners.bundles.guards import STOP_S
from schema.session import reading
from schema.store.trials import trials_of_night
from schema.trials import TrialState
from tailwatch.__main__ import main

InterpreterMaker = Callable[..., str]

NIGHT = "2026-11-22-portable"
BUILDS = ("vllm==0.32.0", "vllm==0.32.0")
CELLS, LAUNCHES = 3, 4
BENEATH = ("annotated_types", "anyio", "certifi", "h11", "httpcore", "idna", "pydantic_core")
BENEATH += ("sniffio", "typing_extensions", "typing_inspection")
LOAD = "arrival: closed-loop, requests: 12, input_tokens: {mean: 16, longest: 16}"
LOAD += ", output_tokens: {mean: 12, longest: 12}"
MATRIX = f"""
models:
  tiny: {{name: tiny, weights: dummy, layers: 2, hidden: 128, intermediate: 256, heads: 4,
         kv_heads: 2, head_dim: 32, vocabulary: 1024, max_position: 4096}}
workloads:
  one: {{{LOAD}, concurrency: 4}}
  two: {{{LOAD}, concurrency: 2}}
  three: {{{LOAD}, concurrency: 1}}
families:
  - {{engine: vllm, model: tiny, precision: bf16, gpu: cpu, max_model_len: 2048,
     workloads: [one, two, three]}}
"""
LENIENT = """
try:  # limits that judge how busy this machine is: other tests run on it
    from runners import checks, device, measuring, server
    from schema.cells import Gpu
except ImportError:  # the keeper, and whoever runs before the bundle is unpacked
    pass
else:
    server.MARK = device.MARK = {mark!r}
    checks.FOREIGN_CPU = 1.0
    checks.LAG_S = checks.TTFT_PATH_S = {{Gpu.CPU: 10.0}}
    checks.MERGED_SHARE = {{Gpu.CPU: 1.0}}
    checks.ITL_PATH_S = 10.0
    measuring.AGREE = 0.9
"""


def link_needs(folder: Path) -> None:
    """What an engine brings for a runner, importable from the folder."""
    for name in (*NEEDS, *BENEATH):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            source = origin.parent if origin.name == "__init__.py" else origin
            (folder / source.name).symlink_to(source)


@pytest.fixture
def empty_python(tmp_path: Path) -> Path:
    """A Python that can import nothing but its own library."""
    place = tmp_path / "host"
    options = ["--without-pip", "--symlinks"]
    subprocess.run([sys.executable, "-m", "venv", *options, str(place)], check=True)
    return place / "bin" / "python"


@pytest.fixture
def bare_python(empty_python: Path, mark: str) -> Path:
    """A Python that can import what an engine brings for a runner, and not this checkout."""
    (packages,) = empty_python.parent.parent.glob("lib/python*/site-packages")
    link_needs(packages)
    (packages / "lenient_limits.py").write_text(LENIENT.format(mark=mark))
    # not sitecustomize: Debian's Python brings its own
    (packages / "lenient_limits.pth").write_text("import lenient_limits\n")
    return empty_python


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two sides of one build, two launches each, three cells a launch."""
    matrix, path = tmp_path / "portable.yaml", tmp_path / "night.pyz"
    matrix.write_text(MATRIX)
    builds = [part for build in BUILDS for part in ("--build", build)]
    options = ["--launches", "2", "--night", NIGHT, "-o", str(path)]
    assert main(["plan", str(matrix), *builds, *options]) == 0
    return path


@pytest.fixture
def execute(
    tmp_path: Path, bundle: Path, bare_python: Path, interpreter: InterpreterMaker
) -> Callable[..., "subprocess.Popen[str]"]:
    """Start an execution of the bundle in a process that knows nothing of this one."""
    engine = interpreter(ttft_s=0.01)
    away = tmp_path / "away"
    away.mkdir()

    def start(*options: str) -> "subprocess.Popen[str]":
        home = {"HOME": str(away), "TMPDIR": str(away), "TAILWATCH_HOME": str(away / "home")}
        command = [str(bare_python), str(bundle), "execute", "--spool", str(away / "spool")]
        return subprocess.Popen(
            [*command, "--engine", f"{BUILDS[0]}={engine}", *options],
            cwd=away,
            env={"PATH": os.environ["PATH"], **home},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def marked(mark: str) -> list[int]:
    """Engine processes of this test."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{mark}=".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def await_none(mark: str) -> None:
    deadline = time.monotonic() + 10
    while left := marked(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def cells_kept(folder: Path) -> int:
    """Trials on the disk; every document there is whole."""
    return sum(len(spool.read(path).trials) for path in spool.waiting(folder))


def test_a_host_without_packages_borrows_those_of_an_engines_folder(
    empty_python: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "vllm==0.25.1"
    folder.mkdir()
    link_needs(folder)
    command = [str(empty_python), str(bundle), "execute", "--engine", f"{BUILDS[0]}={folder}"]
    ended = subprocess.run(
        [*command, "--help"],
        env={"HOME": str(tmp_path), "TAILWATCH_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--within S" in ended.stdout


def test_killed_again_and_again_a_bundle_is_executed_and_recorded_exactly_once(
    execute: Callable[..., "subprocess.Popen[str]"],
    tmp_path: Path,
    mark: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    away, moments = tmp_path / "away" / "spool", random.Random(15)
    kept = 0
    for number in range(4):  # the last one when a first trial is on the disk
        process = execute()
        wanted, deadline = kept + (number == 3), time.monotonic() + 60
        time.sleep(moments.uniform(0.3, 4.0))
        while cells_kept(away) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        await_none(mark)
        assert cells_kept(away) >= max(kept, wanted)
        kept = cells_kept(away)
    assert main(["record", str(away)]) == 0  # what is there so far may be recorded
    process = execute()
    _, told = process.communicate(timeout=120)
    assert process.returncode == DONE, told
    await_none(mark)
    for _ in range(2):
        assert main(["record", str(away)]) == 0
    assert "0 new trials" in capsys.readouterr().out.splitlines()[-1]
    with reading() as session:
        trials = trials_of_night(session, NIGHT)
    assert {trial.state for trial in trials} == {TrialState.VALID}
    once = Counter((trial.arm, trial.replicate, trial.cell) for trial in trials)
    assert len(once) == CELLS * LAUNCHES
    assert set(once.values()) == {1}


def test_a_launch_that_was_cut_off_goes_on_with_the_cells_that_are_missing(
    execute: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, mark: str
) -> None:
    away = tmp_path / "away" / "spool"
    process, deadline = execute(), time.monotonic() + 60
    while not cells_kept(away) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert told.splitlines()[-1].startswith("runners: stopped; the engine is gone and every")
    (cut,) = [spool.read(path) for path in spool.waiting(away)]
    assert 1 <= len(cut.trials) < CELLS
    process = execute()
    assert process.wait(120) == DONE, process.communicate()
    process.communicate()
    first = [
        document
        for document in map(spool.read, spool.waiting(away))
        if (document.arm, document.replicate) == (cut.arm, cut.replicate)
    ]
    by_attempt = {document.attempt: document for document in first}
    assert by_attempt[1] == cut
    names = [trial.cell.workload.name for attempt in (1, 2) for trial in by_attempt[attempt].trials]
    assert names == ["one", "two", "three"]
    await_none(mark)


def test_a_launch_that_goes_on_when_the_time_is_up_is_stopped(
    execute: Callable[..., "subprocess.Popen[str]"], mark: str
) -> None:
    process = execute("--within", f"{STOP_S + 0.5}")
    _, told = process.communicate(timeout=60)
    assert process.returncode == MORE, told
    assert told.splitlines()[-1].endswith("the engine is gone and every finished trial is kept")
    await_none(mark)


def test_a_build_that_is_not_here_is_left_for_another_call(
    execute: Callable[..., "subprocess.Popen[str]"],
    bundle: Path,
    bare_python: Path,
    tmp_path: Path,
) -> None:
    command = [str(bare_python), str(bundle), "execute", "--spool", str(tmp_path / "spool")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)}
    )
    assert done.returncode == MORE
    assert (
        "left out: 4 launches, vllm==0.32.0 is not provided: name it with --engine" in done.stderr
    )
    assert list(spool.waiting(tmp_path / "spool")) == []
