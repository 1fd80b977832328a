"""The document of measurements: in step with the examples, every figure from the database."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy.orm import Session

from dashboard.levels import Level, load_words, model_words
from dashboard.units import NONE, quantity, times
from regressions.policy import read_policy
from runners.bundles.bundle import read
from schema.arrivals import Arrival
from schema.cells import RETURNS_EXPERTS, Cell, Gpu
from schema.metrics import METRICS
from schema.models import Model
from schema.requests import Request, Requests
from schema.selections import Selections
from schema.session import reading, writing
from schema.store.cells import cells
from schema.store.exports import SHEETS
from schema.store.launches import record
from schema.store.nights import night, nights, record_night
from schema.trials import Launch, Trial, TrialState
from stats.spread import variation
from tailwatch.__main__ import main
from tailwatch.commands.measurements import write
from tailwatch.home import REPOSITORY
from tailwatch.measurements.document import CAPTIONS, document
from tailwatch.measurements.found import find
from tailwatch.measurements.gaps import within
from tailwatch.measurements.loads import COLUMNS
from tailwatch.measurements.markdown import figure
from tailwatch.measurements.noise import words
from tailwatch.measurements.plans import command
from tailwatch.measurements.published import nearest
from tailwatch.measurements.quoted import FIGURES, LLAMA

PAGE = REPOSITORY / "docs" / "measurements.md"
COMMAND = "tailwatch measurements --record examples -o docs/measurements.md"
PNG = b"\x89PNG\r\n"
Make = Callable[..., object]


@pytest.fixture(scope="module")
def written(hopper_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("docs") / "measurements.md"
    write(hopper_url, path, COMMAND)
    return path


def test_the_document_is_in_step_with_the_examples(written: Path) -> None:
    assert written.read_text() == PAGE.read_text(), "run `make measurements`"


@pytest.mark.parametrize("folder", ["written", "kept"])
def test_every_picture_of_it_is_drawn(folder: str, written: Path) -> None:
    page = written if folder == "written" else PAGE
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text())
    drawn = {Path(own).stem.rpartition("-")[2] for own in pictures}
    assert drawn | {"experts"} == set(CAPTIONS)  # which no example may have returned
    for own in pictures:
        assert (page.parent / own).read_bytes().startswith(PNG)


def _rows(text: str) -> dict[tuple[str, str], list[str]]:
    """Fields of each row of the load tables, by heading and load."""
    rows, heading = {}, ""
    for line in text.partition("## Memory")[0].splitlines():
        if line.startswith("### "):
            heading = line.removeprefix("### ")
        elif heading and line.startswith("| ") and not line.startswith("| load"):
            first, *fields = [field.strip() for field in line.strip("|").split("|")]
            rows[heading, first] = fields
    return rows


def test_every_figure_of_the_loads_is_the_median_of_what_is_stored(
    hopper_url: str, written: Path
) -> None:
    stored: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with reading(hopper_url) as session:
        known = {own.key: own for own in cells(session)}
        for row in SHEETS["measurements"].rows(session):
            stored[row["cell"], row["build_name"], row["metric"]].append(row["value"])
    rows = _rows(written.read_text())
    compared = 0
    for (key, build, metric), values in stored.items():
        if metric in COLUMNS:
            cell = known[key]
            heading = f"{cell.family.gpu}: {model_words(cell)}, {build}"
            fields = rows[heading, load_words(cell.workload)]
            told = fields[1 + list(COLUMNS).index(metric)]
            assert told.startswith(quantity(median(values), METRICS[metric].unit))
            compared += 1
    assert compared > 5 * len(rows) > 0


def test_fewer_than_three_launches_have_no_spread(written: Path) -> None:
    for fields in _rows(written.read_text()).values():
        spread = any("±" in field for field in fields[1:])
        assert spread == ("no spread" not in fields[0])


def test_dummy_weights_are_said_with_every_model(written: Path) -> None:
    headings = [heading for heading, _ in _rows(written.read_text())]
    assert headings
    assert all("dummy weights" in heading for heading in headings)


def test_a_figure_says_how_many_launches_could_estimate_it() -> None:
    assert figure([0.004, 0.004], "s", 2) == "4.000 ms"
    assert figure([0.0099, 0.01, 0.0101], "s", 3) == "10.00 ms ±1.00 %"
    assert figure([0.004], "s", 3) == "4.000 ms (1)"
    assert figure([], "s", 3) == NONE
    assert words(variation([[1.0, 1.0, 1.0]])) == "0.0 %"


def _request(index: int, gap: float) -> Request:
    events = tuple(index + 0.1 + gap * token for token in range(5))
    return Request(
        index=index, scheduled_s=index, sent_s=index, input_tokens=8, output_tokens=5,
        event_s=events, event_tokens=(1, 2, 3, 4, 5),
    )  # fmt: skip


def test_a_window_is_cut_into_parts_of_equally_many_requests() -> None:
    found = within(Requests.of([_request(index, 0.01 * (1 + index // 2)) for index in range(8)]))
    assert found is not None
    assert found.itl_mean == pytest.approx(0.025)
    assert found.parts["itl_p50"] == pytest.approx([0.01, 0.02, 0.03, 0.04])
    assert found.parts["ttft_p50"] == pytest.approx([0.1] * 4)


def test_few_requests_are_not_cut_and_none_say_nothing() -> None:
    few = within(Requests.of([_request(0, 0.01)]))
    assert few is not None
    assert few.parts == {}
    assert within(Requests.of([])) is None


def _llama(make_cell: Callable[..., Cell], tensor: int, build: str, batch: int) -> Level:
    cell = make_cell()
    model: Model = cell.family.model.model_copy(update={"name": f"meta/{LLAMA}", "experts": 1})
    family = cell.family.model_copy(
        update={"model": model, "gpu": Gpu.H200, "tensor_parallel": tensor}
    )
    workload = cell.workload.model_copy(update={"concurrency": batch, "rate": None})
    return Level(
        cell=Cell.model_construct(family=family, workload=workload), build=build,
        values={}, trials=("t",), nights=("2026-11-22",),
    )  # fmt: skip


def test_a_published_figure_stands_beside_as_many_cards_where_they_were_measured(
    make_cell: Callable[..., Cell],
) -> None:
    offline = next(one for one in FIGURES if one.model == LLAMA and one.batch is None)
    alone = _llama(make_cell, 1, "vllm 0.25.1", 128)
    others = [
        _llama(make_cell, 1, "vllm 0.25.1", 32),
        _llama(make_cell, 1, "vllm 0.25.1+eager", 128),
    ]
    assert nearest(offline, [alone, *others]) == [alone]
    two = _llama(make_cell, 2, "vllm 0.25.1", 128)
    assert nearest(offline, [alone, two, *others]) == [two]


def test_what_a_second_card_gains_stands_beside_what_was_published(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    """From launches in the database to the document's rows, five of each split."""
    record_night(session, make_night())
    for tensor in (1, 2):
        for replicate in range(5):
            record(session, _launch_over(tensor, replicate, make_launch, make_trial))
    text = _document(session)
    assert "TP 2 against TP 1" in text
    glance = ("batch 8", "5 and 5", f"{times(1.49)} ±1.9 %", NONE, NONE, NONE, NONE)
    assert f"| {' | '.join(glance)} |" in text.splitlines()
    row = next(line for line in text.splitlines() if line.startswith("| batch 8 | throughput |"))
    fields = [field.strip() for field in row.strip("|").split("|")]
    assert fields[2:] == [
        *("5", "102.0 tok/s ±1.6 %", "5", "152.0 tok/s ±1.0 %"),
        *(f"{times(1.49)} ±1.9 %", "0.0079"),
    ]
    short = text.partition("## In short")[2].partition("\n## ")[0]
    assert (
        f"- {LLAMA} bf16 on h200, TP 2 against TP 1: throughput {times(1.49)} (vllm 0.32.0)"
        in short
    )
    assert "- 10 engine starts on 1 card made 10 trials, all of them valid.\n" in short
    assert "(CV): throughput 1.3 %. [Noise](#noise)" in short
    published = next(line for line in text.splitlines() if "TP 2 over TP 1: throughput" in line)
    ours = "(2 x h200, vllm 0.32.0, batch 8, 5 and 5 launches)"
    assert f"0.997 and 1.002 | {times(1.49)} {ours}" in published


def test_each_night_is_planned_again_by_the_command_beside_it(
    hopper_url: str, tmp_path: Path
) -> None:
    with reading(hopper_url) as session:
        plans = [night(session, own.name) for own in nights(session)]
    assert plans
    for own in plans:
        shell = ["bash", "-c", f"printf '%s\\n' {command(own)}"]
        words = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split()
        bundle = tmp_path / f"{own.name}.pyz"
        assert main([*words[1:-1], str(bundle)]) == 0
        again = read(bundle).night
        assert (again.name, again.launches, again.kind) == (own.name, own.launches, own.kind)
        assert [cell.slug for cell in again.cells] == [cell.slug for cell in own.cells]


def _launch_over(tensor: int, replicate: int, make_launch: Make, make_trial: Make) -> Launch:
    trial: Trial = make_trial()  # type: ignore[assignment]
    family = trial.cell.family.model_copy(
        update={
            "gpu": Gpu.H200,
            "tensor_parallel": tensor,
            "model": trial.cell.family.model.model_copy(update={"name": f"meta/{LLAMA}"}),
        }
    )
    closed = {"arrival": Arrival.CLOSED_LOOP, "concurrency": 8, "rate": None}
    workload = trial.cell.workload.model_copy(update=closed)
    own = trial.model_copy(
        update={
            "cell": Cell(family=family, workload=workload),
            "measurements": {"output_throughput": 50.0 + 50 * tensor + replicate},
        }
    )
    return make_launch(trials=(own,), replicate=replicate)  # type: ignore[return-value]


def _document(session: Session) -> str:
    return document(find(session, read_policy(), 30, lambda _: None), {}, COMMAND)


def test_a_trial_that_counts_for_nothing_is_named_with_its_reason(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    broken = make_trial(state=TrialState.FAILED, reason="CUDA error:\nout of memory | 80 GiB")
    record_night(session, make_night(launches=2))
    record(session, make_launch(trials=(broken,)))
    text = _document(session)
    assert "1 of 1 trial:" in text
    assert "CUDA error: out of memory \\| 80 GiB |" in text
    assert "planned 1 cell that it never tried" in text
    assert "made 1 of 2 planned launches" in text
    assert "1 engine start on 1 card made 1 trial, 0 of them valid; [why not]" in text


def test_the_document_tells_which_experts_were_chosen_and_who_refused(
    database_url: str, tmp_path: Path, make_night: Make, make_launch: Make, make_trial: Make,
    make_cell: Make,
) -> None:  # fmt: skip
    timed = make_cell()
    family = timed.family.model_copy(update={"settings": ((RETURNS_EXPERTS, None),)})
    cell = timed.model_copy(update={"family": family})
    seen = Selections(requests=1, tokens=8, counts=((2,) * 8, (8, 8, 0, 0, 0, 0, 0, 0)))
    told = make_trial(cell, selections=seen, measurements={"expert_balance": seen.balance})
    why = "ExpertsNotReturned: vllm==0.33.0 with --enable-return-routed-experts did not start: no"
    deaf = make_trial(cell, state=TrialState.FAILED, reason=why)
    with writing(database_url) as session:
        record_night(session, make_night())
        record(session, make_launch())
        record(session, make_launch(trials=(told,)))
        record(session, make_launch(trials=(deaf,), replicate=1))
    write(database_url, tmp_path / "m.md", COMMAND)
    text = (tmp_path / "m.md").read_text()
    section = text.partition("## Expert balance")[2].partition("\n## ")[0]
    name = "h100: tiny-mixtral bf16, dummy weights, vllm 0.32.0"
    assert f"| {name} | 1: no spread | 0.6250 | 1 | 0.2500 | 0 | 4.000 | 1 | 8 |" in section
    assert "not the model's own routers" in section
    assert why.partition(": ")[2] in section
    assert "images/m-experts.png" in section
    assert (tmp_path / "images" / "m-experts.png").read_bytes().startswith(PNG)
    assert "enable-return-routed-experts" not in text.partition("## Memory")[0]


def test_without_a_valid_trial_there_is_no_document(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert main(["measurements", "-o", str(tmp_path / "m.md")]) == 2
    assert "no night has a valid trial yet" in capsys.readouterr().err
    assert not (tmp_path / "m.md").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["-o", "m.txt"], "is not a file FILE.md"),
        (["-o", "absent/m.md"], "is not a file FILE.md in a folder that exists"),
        (["-o", "m.md", "--nights", "0"], "--nights 0: at least 1"),
        (["-o", "m.md", "--record", "absent"], "absent is not a folder"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    typed: Sequence[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["measurements", *typed]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
