"""Bundles: what is in the file, what is left of it, and every way to ask wrongly."""

import fcntl
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from runners import spool
from runners.bundles import bundle
from runners.bundles.begin import begin
from runners.bundles.engines import ProvidedEngines
from runners.bundles.execute import main
from runners.bundles.remaining import LONGER, Made, Remaining, longest_s, remaining, spoiled
from runners.errors import BundleError
from runners.home import REPOSITORY
from schema.cells import Cell
from schema.matrix import load_matrix
from schema.nights import Bundle, Night, NightKind, PlannedLaunch
from schema.trials import BuildSpec, Launch, TrialState

CellMaker = Callable[..., Cell]
PlanMaker = Callable[..., PlannedLaunch]
Pack = Callable[..., Bundle]
VALID, INVALID = TrialState.VALID, TrialState.INVALID


@pytest.fixture
def cells(make_cell: CellMaker) -> tuple[Cell, ...]:
    return tuple(make_cell(name=name) for name in ("a", "b", "c"))


@pytest.fixture
def launches(make_plan: PlanMaker, cells: tuple[Cell, ...]) -> tuple[PlannedLaunch, ...]:
    """Two replicates of one family."""
    first = make_plan(*cells)
    return first, first.model_copy(update={"replicate": 1})


@pytest.fixture
def pack() -> Pack:
    """A bundle of these launches, all of one family."""

    def make(*launches: PlannedLaunch) -> Bundle:
        night = Night(
            name=launches[0].night,
            kind=NightKind.NIGHTLY,
            matrix="demo",
            matrix_digest="1",
            contenders=(str(launches[0].build),),
            cells=launches[0].cells,
            launches=len(launches),
        )
        return Bundle(night=night, launches=launches)

    return make


@pytest.fixture
def packed(pack: Pack, launches: tuple[PlannedLaunch, ...]) -> Bundle:
    return pack(*launches)


def made(planned: PlannedLaunch, *states: TrialState, **overrides: object) -> Made:
    """A document with trials of the first cells."""
    pairs = zip(planned.cells, states, strict=False)
    facts: dict[str, object] = {
        "arm": planned.arm,
        "build": str(planned.build),
        "replicate": planned.replicate,
        "attempt": 1,
        "family": planned.cells[0].family.key,
        "duration_s": 100.0,
        "caches_warm": False,
        "states": {cell.key: state for cell, state in pairs},
        "may_pass": True,
    }
    return Made(**facts | overrides)  # type: ignore[arg-type]


def asked(left: list[Remaining]) -> list[tuple[int, int, str]]:
    """(replicate, attempt, workloads)."""
    return [
        (
            one.planned.replicate,
            one.attempt,
            "".join(cell.workload.name for cell in one.planned.cells),
        )
        for one in left
    ]


def test_what_is_written_is_read_again_and_is_the_same_file_every_time(
    packed: Bundle, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.pyz", tmp_path / "second.pyz"
    bundle.write(packed, first)
    bundle.write(packed, second)
    assert bundle.read(first) == packed
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.pyz", "second.pyz"]


def test_a_bundle_holds_what_its_runner_imports_and_no_other_room(
    packed: Bundle, tmp_path: Path
) -> None:
    bundle.write(packed, tmp_path / "night.pyz")
    with zipfile.ZipFile(tmp_path / "night.pyz") as members:
        names = members.namelist()
        members.extractall(tmp_path / "code")
    assert {name.partition("/")[0] for name in names} == {
        "__main__.py",
        "plan.json",
        "runners",
        "schema",
    }
    program = "import runners.bundles.execute, sys; print(runners.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PYTHONPATH": str(tmp_path / "code")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path / "code"))


def test_nothing_done_leaves_everything_in_planned_order(
    launches: tuple[PlannedLaunch, ...],
) -> None:
    assert asked(remaining(launches, [], 3)) == [(0, 1, "abc"), (1, 1, "abc")]


def test_a_cut_off_launch_goes_on_first_with_its_missing_cells(
    launches: tuple[PlannedLaunch, ...],
) -> None:
    left = remaining(launches, [made(launches[0], VALID, INVALID)], 3)
    assert asked(left) == [(0, 2, "bc"), (1, 1, "abc")]


def test_a_further_attempt_waits_until_everything_was_tried_once(
    launches: tuple[PlannedLaunch, ...],
) -> None:
    left = remaining(launches, [made(launches[0], VALID, INVALID, VALID)], 3)
    assert asked(left) == [(1, 1, "abc"), (0, 2, "b")]


def test_attempts_end(launches: tuple[PlannedLaunch, ...]) -> None:
    first = launches[:1]
    tried = [made(first[0], VALID, INVALID, VALID)]
    tried.append(made(first[0], attempt=2, states={first[0].cells[1].key: INVALID}))
    assert asked(remaining(first, tried, 3)) == [(0, 3, "b")]
    assert asked(remaining(first, tried, 2)) == []
    assert list(spoiled(first, tried, 2)) == [f"{first[0].label}: b"]
    assert list(spoiled(first, tried, 3)) == []


def test_what_would_fail_again_is_not_tried_again(launches: tuple[PlannedLaunch, ...]) -> None:
    failed = made(launches[0], *[TrialState.FAILED] * 3, may_pass=False)
    assert asked(remaining(launches[:1], [failed], 3)) == []
    assert len(list(spoiled(launches[:1], [failed], 3))) == 3


def test_the_document_of_another_arm_build_or_replicate_counts_for_nothing(
    launches: tuple[PlannedLaunch, ...],
) -> None:
    others = [
        made(launches[0], VALID, VALID, VALID, **{field: other})
        for field, other in (("arm", "control"), ("build", "vllm==0.31.0"), ("replicate", 7))
    ]
    assert asked(remaining(launches[:1], others, 3)) == [(0, 1, "abc")]


def test_a_launch_is_expected_to_take_what_the_longest_of_its_family_took(
    launches: tuple[PlannedLaunch, ...],
) -> None:
    family = launches[0].cells[0].family.key
    seen = [made(launches[0], duration_s=90.0), made(launches[0], duration_s=60.0)]
    seen.append(made(launches[0], family="other", duration_s=200.0))
    assert longest_s(family, seen) == pytest.approx(90.0 * LONGER)
    assert longest_s("third", seen) == pytest.approx(200.0 * LONGER)
    assert longest_s(family, []) is None


def test_a_first_launch_that_had_to_compile_says_nothing_once_a_later_one_was_seen(
    launches: tuple[PlannedLaunch, ...],
) -> None:
    family = launches[0].cells[0].family.key
    cold = made(launches[0], VALID, VALID, duration_s=280.0)
    seen = [cold, made(launches[0], VALID, VALID, duration_s=190.0, caches_warm=True)]
    assert longest_s(family, seen) == pytest.approx(190.0 * LONGER)
    fewer = made(launches[0], VALID, duration_s=70.0, caches_warm=True)
    assert longest_s(family, [cold, fewer]) == pytest.approx(280.0 * LONGER)


def test_the_place_of_an_engine_is_a_folder_an_interpreter_or_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}:/tmp/host")
    interpreter = tmp_path / "python"
    interpreter.touch()
    named = [f"vllm==0.25.1={tmp_path}", f"sglang==0.5.17={interpreter}", "vllm==0.22.1"]
    engines = ProvidedEngines(named, "/usr/bin/python3")
    assert engines.has(BuildSpec.parse("vllm==0.25.1+eager"))
    assert not engines.has(BuildSpec.parse("vllm==0.26.0"))
    found = {name: (one.python, one.environment) for name, one in engines._engines.items()}
    assert found == {
        "vllm==0.25.1": ("/usr/bin/python3", {"PYTHONPATH": str(tmp_path)}),
        "sglang==0.5.17": (str(interpreter), {"PYTHONPATH": ""}),
        "vllm==0.22.1": ("/usr/bin/python3", {"PYTHONPATH": "/tmp/host"}),
    }


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("/tmp/e", "--engine /tmp/e: write BUILD=PLACE, such as vllm==0.25.1=/tmp/engine"),
        ("vllm==0.25.1=/no/where", "--engine vllm==0.25.1=/no/where: there is no /no/where"),
        ("tgi==1.0=/tmp", "'tgi==1.0' is not ENGINE==VERSION"),
    ],
)
def test_a_wrong_engine_is_one_message_and_nothing_starts(
    packed: Bundle, tmp_path: Path, engine: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle.write(packed, tmp_path / "night.pyz")
    options = ["--spool", str(tmp_path / "spool"), "--engine", engine]
    assert main([str(tmp_path / "night.pyz"), *options]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("content", [b"no zip", b""])
def test_a_file_that_is_no_bundle_is_told(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "night.pyz"
    path.write_bytes(content)
    assert begin([str(path), "--spool", str(tmp_path)]) == 2
    assert f"runners: {path}: File is not a zip file" in capsys.readouterr().err
    with pytest.raises(BundleError, match=r"is no bundle: .*`tailwatch plan` writes one"):
        bundle.read(path)


def test_a_second_execution_in_one_spool_is_refused(
    packed: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle.write(packed, tmp_path / "night.pyz")
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main([str(tmp_path / "night.pyz"), "--spool", str(tmp_path)]) == 2
    assert "another execution goes on in" in capsys.readouterr().err


def test_a_launch_that_would_not_end_in_time_does_not_begin(
    make_plan: PlanMaker,
    pack: Pack,
    run_launch: Callable[..., Launch],
    interpreter: Callable[..., str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = make_plan()
    document = run_launch(first)
    ended = document.started_at + timedelta(seconds=1000)
    spool.keep(document.model_copy(update={"ended_at": ended}), tmp_path / "spool")
    bundle.write(pack(first, first.model_copy(update={"replicate": 1})), tmp_path / "night.pyz")
    options = ["--spool", str(tmp_path / "spool"), "--engine", f"{first.build}={interpreter()}"]
    with caplog.at_level("INFO", logger="runners"):
        assert main([str(tmp_path / "night.pyz"), *options, "--within", "600"]) == 3
    assert re.fullmatch(
        r"1 launches left; the next may take 1150 s, 59\d s are left", caplog.messages[-1]
    )


def test_the_matrix_for_hopper_asks_for_what_is_published() -> None:
    matrix = load_matrix("hopper")
    for family, cells in matrix.families().items():
        names = sorted(cell.workload.name for cell in cells)
        assert names == sorted(
            ["batch-1", "batch-8", "batch-32", "flight-128", "rate-1", "rate-2", "rate-4", "rate-8"]
        ), family.slug
