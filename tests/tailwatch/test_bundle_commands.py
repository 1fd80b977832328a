"""plan and record: from a matrix to a file, and from folders of documents to a judged night."""

import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runners import spool
from runners.bundles import bundle
from schema.cells import RETURNS_EXPERTS, Cell
from schema.nights import Night, NightKind
from schema.selections import Selections
from schema.session import reading
from schema.store.judgements import judgements
from schema.store.launches import launch_keys
from schema.store.nights import night as stored_night
from schema.store.selections import selections
from schema.store.trials import trials_of_night
from schema.trials import Arm, Launch, Telemetry, Trial, TrialState
from tailwatch.__main__ import main
from tailwatch.documents import Documents

NIGHT = "2026-11-22"
NightMaker = Callable[..., Night]
LaunchMaker = Callable[..., Launch]


@pytest.fixture
def carried(tmp_path: Path, make_night: NightMaker, make_launch: LaunchMaker) -> Path:
    """A spool with the plan of a night and one launch."""
    spool.keep_plan(make_night(), tmp_path / "out")
    spool.keep(make_launch(), tmp_path / "out")
    return tmp_path / "out"


def planned(tmp_path: Path, *options: str) -> bundle.Bundle:
    assert main(["plan", *options, "-o", str(tmp_path / "night.pyz")]) == 0
    return bundle.read(tmp_path / "night.pyz")


def test_two_ways_to_draw_experts_are_interleaved(tmp_path: Path) -> None:
    found = planned(
        tmp_path, *("hopper", "--gpu", "h100", "--launches", "2"),
        *("--cells", "Mixtral-8x7B-Instruct-v0.1/fp8/h100/tp1/batch-1"),
        *("--build", "vllm==0.25.1+uniform", "--build", "vllm==0.25.1+normal"),
    )  # fmt: skip
    assert found.night.kind is NightKind.RELEASE
    assert [one.build.variant for one in found.launches] == [
        *("uniform", "normal", "normal", "uniform")
    ]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("sglang==0.5.17+uniform", "+uniform alters vllm only"),
        ("vllm==0.25.1+turbo", "unknown variant +turbo"),
    ],
)
def test_an_impossible_variant_is_refused_before_a_bundle_is_written(
    build: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle_file = tmp_path / "night.pyz"
    assert main(["plan", "hopper", "--build", build, "-o", str(bundle_file)]) == 1
    assert said in capsys.readouterr().err
    assert not bundle_file.exists()


def test_one_build_an_engine_plans_a_nightly(tmp_path: Path) -> None:
    found = planned(
        tmp_path, *("hopper", "--gpu", "h100", "--launches", "2", "--cells", "rate-1", "batch-1"),
        *("--build", "vllm==0.25.1", "--build", "sglang==0.5.17"),
    )  # fmt: skip
    assert found.night.kind is NightKind.NIGHTLY
    assert found.night.contenders == ("vllm==0.25.1", "sglang==0.5.17")
    assert found.night.name.endswith("-hopper-h100")
    assert [one.replicate for one in found.launches] == [0] * 6 + [1] * 6
    names = {cell.workload.name for one in found.launches for cell in one.cells}
    assert names == {"rate-1", "batch-1"}
    assert found.night.launches == 12


def test_two_builds_of_one_engine_plan_a_release_in_abba_order(tmp_path: Path) -> None:
    builds = ("--build", "vllm==0.22.1", "--build", "vllm==0.25.1")
    found = planned(tmp_path, "demo", "--cells", "tiny-llama", "--launches", "2", *builds)
    assert (found.night.baselines, found.night.contenders) == (("vllm==0.22.1",), ("vllm==0.25.1",))
    assert found.night.name.endswith("-demo-vllm-0.25.1-vs-0.22.1")
    base, new = Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER
    assert [one.arm for one in found.launches] == [base, new, new, base]


def test_the_same_build_twice_plans_an_a_a(tmp_path: Path) -> None:
    found = planned(tmp_path, "demo", "--build", "vllm==0.32.0", "--build", "vllm==0.32.0")
    assert len({one.key for one in found.launches}) == len(found.launches) == 20


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["demo", "--build", "vllm"], 2, "'vllm' is not ENGINE==VERSION"),
        (["demo", "--build", "sglang==0.5.17"], 2, "no cell of matrix demo runs on sglang"),
        (["demo", "--gpu", "h100", "--build", "vllm==0.32.0"], 2, "no cell of matrix demo"),
        (["demo", "--build", "vllm==1", "--build", "vllm==2", "--build", "vllm==3"], 2, "two bui"),
        (["demo", "--build", "vllm==1", "--launches", "0"], 2, "--launches must be 1 or more"),
        (["demo", "--build", "vllm==1", "--night", "tonight"], 2, "a date such as 2026"),
        (
            ["demo", "--build", "vllm==1", "--cells", "h100", "q"],
            1,
            "like h100\nmatrix demo has no",
        ),
        (["dema", "--build", "vllm==1"], 1, "did you mean demo"),
    ],
)
def test_a_wrong_plan_is_one_message_and_no_file(
    options: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", *options, "-o", str(tmp_path / "night.pyz")]) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere" / "night.pyz"
    assert main(["plan", "demo", "--build", "vllm==0.32.0", "-o", str(path)]) == 1
    assert f"cannot write {path}: No such file" in capsys.readouterr().err


def test_a_spool_brings_its_night_and_the_night_is_judged(
    database: str, carried: Path, make_night: NightMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    for new in (2, 0):
        assert main(["record", str(carried)]) == 0
        told = capsys.readouterr().out.splitlines()
        assert told[0] == f"1 launches in {carried}, {new} new trials"
        assert [line.partition(":")[0] for line in told[1:]] == ([NIGHT] if new else [])
    with reading() as session:
        assert stored_night(session, NIGHT) == make_night()
    assert main(["verdicts"]) == 0
    assert "not judged yet" not in capsys.readouterr().err


def test_recording_without_judging(
    database: str, carried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", str(carried), "--no-judge"]) == 0
    assert main(["verdicts"]) == 0
    assert "not judged yet" in capsys.readouterr().err


def _tar(documents: list[Path], folder: Path) -> None:
    with tarfile.open(folder / "all.tar.gz", "w:gz") as packed:
        for path in documents:
            packed.add(path, path.name)


def _zip(documents: list[Path], folder: Path) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w") as packed:
        for path in documents:
            packed.write(path, path.name)


def _plain(documents: list[Path], folder: Path) -> None:
    for path in documents:
        raw = path.read_bytes()
        plain = gzip.decompress(raw) if path.suffix == ".gz" else raw
        (folder / path.name.removesuffix(".gz")).write_bytes(plain)


def _xz(documents: list[Path], folder: Path) -> None:
    _plain(documents, folder)
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("form", [_tar, _zip, _plain, _xz])
def test_documents_are_read_in_every_form(
    form: Callable[[list[Path], Path], None],
    database: str,
    carried: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "form"
    folder.mkdir()
    form(list(carried.rglob("*.json*")), folder)
    assert main(["record", str(folder)]) == 0
    assert f"1 launches in {folder}, 2 new trials" in capsys.readouterr().out


def test_what_earlier_runners_did_not_measure_follows_from_what_they_kept(
    tmp_path: Path, make_launch: LaunchMaker, make_trial: Callable[..., Trial]
) -> None:
    told = {"output_throughput": 1.2}
    busy = [Telemetry(at_s=at, device="GPU-1", utilisation=share) for at, share in
            ((59.9, 0.1), (60.5, 0.6), (62.0, 0.8), (63.0, 0.1))]  # fmt: skip
    trials = (make_trial(measurements=told), make_trial(state=TrialState.FAILED))
    launch = make_launch(trials=trials, telemetry=tuple(busy))
    spool.keep(launch, tmp_path)
    [(_, found)] = Documents(tmp_path).launches()
    measured, failed = found.trials
    assert measured.measurements == pytest.approx({**told, "stall_time": 0.0, "gpu_busy": 0.7})
    assert failed == trials[1]
    assert found.key == launch.key


def test_every_broken_document_is_told_and_the_others_are_recorded(
    database: str,
    carried: Path,
    make_launch: LaunchMaker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = {
        "cut.launch.json.gz": gzip.compress(b"{}" * 1000)[:20],
        "other.launch.json": b'{"night": 1}',
        "plan.night.json.xz": b"no xz",
        "all.tar.gz": b"no tar",
        "all.zip": b"no zip",
    }
    for name, content in broken.items():
        (carried / name).write_bytes(content)
    spool.keep(make_launch(night="2026-11-20"), carried)
    assert main(["record", str(carried)]) == 1
    shown = capsys.readouterr()
    assert f"2 launches in {carried}, 2 new trials" in shown.out
    for name in broken:
        assert f"not recorded: {carried / name}: " in shown.err
    assert "belongs to night 2026-11-20, whose plan is not recorded" in shown.err
    assert "Traceback" not in shown.err


def test_a_launch_recorded_while_it_went_on_keeps_each_trial_once(
    database: str, tmp_path: Path, make_night: NightMaker, make_launch: LaunchMaker
) -> None:
    whole = make_launch()
    sofar = whole.model_copy(update={"trials": whole.trials[:1]})
    other = make_launch(replicate=1)
    for number, document in enumerate((sofar, whole, other)):
        folder = tmp_path / str(number)
        spool.keep_plan(make_night(), folder)
        spool.keep(document, folder)
        assert main(["record", str(folder)]) == 0
    with reading() as session:
        trials = trials_of_night(session, NIGHT)
        launches = launch_keys(session, NIGHT)
    assert sorted((one.replicate, one.cell) for one in trials) == sorted(
        (launch.replicate, trial.cell.key) for launch in (whole, other) for trial in launch.trials
    )
    assert len(launches) == 3  # two documents of one engine start, and the other launch


def test_a_night_that_timed_nothing_is_recorded_and_judges_nothing(
    database: str, tmp_path: Path, make_night: NightMaker, make_launch: LaunchMaker,
    make_trial: Callable[..., Trial], make_cell: Callable[..., Cell],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    cell = make_cell()
    family = cell.family.model_copy(update={"settings": ((RETURNS_EXPERTS, None),)})
    cell = cell.model_copy(update={"family": family})
    seen = Selections(requests=1, tokens=8, counts=((2,) * 8, (8, 8, 0, 0, 0, 0, 0, 0)))
    balance = {"expert_balance": seen.balance}
    trial = make_trial(cell, selections=seen, measurements=balance, requests=(), duration_s=None)
    spool.keep_plan(make_night(cells=(cell,)), tmp_path / "out")
    spool.keep(make_launch(trials=(trial,)), tmp_path / "out")
    assert main(["record", str(tmp_path / "out")]) == 0
    assert "1 new trials" in capsys.readouterr().out
    with reading(database) as session:
        assert judgements(session, NIGHT) == []
        (summary,) = trials_of_night(session, NIGHT)
        assert selections(session, [summary.key]) == {summary.key: seen}
