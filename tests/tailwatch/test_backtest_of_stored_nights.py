"""backtest without a file: the nights of a database, and what other tools measured."""

import csv
import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from schema.nights import Night
from schema.session import writing
from schema.store.launches import record
from schema.store.nights import record_night
from schema.trials import Arm, Build, Launch, Trial
from tailwatch.__main__ import main

FIXTURES = Path(__file__).parents[1] / "formats" / "fixtures"
NIGHTS, TRIALS, STEP = 30, 3, 20
SLOW, QUIET = "steady", "burst"
Captured = pytest.CaptureFixture[str]


def date_of(at: int) -> date:
    return date(2026, 1, 1) + timedelta(at)


def night(at: int) -> str:
    return str(date_of(at))


def version(at: int) -> str:
    return "0.33.0" if at >= STEP else "0.32.0"


def itl(at: int, trial: int, workload: str) -> float:
    """About 10 ms, 9 % more from STEP on in one of the workloads."""
    noise = np.random.default_rng([at, trial, len(workload)]).standard_normal()
    return float(0.01 * np.exp(0.01 * noise) * (1.09 if workload == SLOW and at >= STEP else 1))


@pytest.fixture
def stored(
    database: str,
    make_night: Callable[..., Night],
    make_trial: Callable[..., Trial],
    make_launch: Callable[..., Launch],
    make_build: Callable[..., Build],
) -> list[list[object]]:
    """A month of nightlies of two cells with a control arm that is twice as fast; the same values
    as the rows of a file."""
    rows: list[list[object]] = []
    with writing(database) as session:
        for at in range(NIGHTS):
            plan = make_night(night(at))
            record_night(session, plan)
            for trial in range(TRIALS):
                values = [itl(at, trial, cell.workload.name) for cell in plan.cells]
                build = make_build(version(at))
                for arm, factor in ((Arm.NIGHTLY, 1.0), (Arm.CONTROL, 0.5)):
                    trials = tuple(
                        make_trial(cell, measurements={"itl_p50": value * factor})
                        for cell, value in zip(plan.cells, values, strict=True)
                    )
                    place = {"night": plan.name, "arm": arm, "replicate": trial}
                    launch = make_launch(trials=trials, build=build, **place)
                    record(session, launch)
                    host = f"{launch.host.name} ({launch.host.fingerprint[:8]})"
                    named = f"{build.name} ({build.key[:8]})"
                    rows += [
                        [f"{cell.slug} itl_p50", plan.name, value, "lower", "itl_p50", cell.slug,
                         "vllm", named, host, launch.trial_key(own)]
                        for cell, value, own in zip(plan.cells, values, trials, strict=True)
                        if arm is Arm.NIGHTLY
                    ]  # fmt: skip
    return rows


def printed(capsys: Captured, *options: str) -> list[dict[str, object]]:
    assert main(["backtest", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def as_file(stored: Sequence[Sequence[object]], tmp_path: Path) -> str:
    path = tmp_path / "series.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["series", "time", "value", "direction", "metric", "cell", "engine", "build",
             "environment", "trial"]
        )  # fmt: skip
        writer.writerows(stored)
    return str(path)


def test_stored_nights_end_in_the_findings_of_the_same_rows_in_a_file(
    as_file: str, capsys: Captured
) -> None:
    found = printed(capsys)
    assert found == printed(capsys, as_file)
    [alarm] = [one for one in found if one["verdict"] == "regression"]
    assert SLOW in str(alarm["series"])
    assert (alarm["change_at"], alarm["flagged_at"]) == (night(STEP), night(STEP + 1))
    assert alarm["change"] == pytest.approx(0.09, abs=0.015)
    assert alarm["attribution"] == "build"
    assert "vllm 0.33.0" in str(alarm["reasons"])


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("options", "alarms", "read"),
    [
        (["--cells", SLOW.upper()], 1, "1 cell of 2"),
        (["--cells", QUIET], 0, "1 cell of 2"),
        (["--cells", QUIET, SLOW, "--engine", "VLLM", "--metrics", "itl_p50"], 1, "2 cells of 2"),
    ],
)
def test_cells_metrics_and_engines_are_chosen(
    options: list[str], alarms: int, read: str, capsys: Captured
) -> None:
    assert main(["backtest", *options]) == 0
    shown = capsys.readouterr()
    assert f"reading {read}" in shown.err
    assert shown.out.count('"regression"') == alarms


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--metrics", "itl_p5", "speed"], "'itl_p5' is no metric; did you mean itl_p50?"),
        (["--cells", "mamba"], "no nightly's value is stored that fits; there are vllm/"),
        (["--engine", "sglang"], "no nightly's value is stored that fits"),
        (["--metrics", "ttft_p99"], "no nightly's value is stored that fits"),
        (["--imported", "guidellm"], "no value of guidellm with a time is stored: nothing was"),
        (["history.csv", "--cells", "x"], "a file is replayed whole"),
    ],
)
def test_what_cannot_be_chosen_is_told(options: list[str], told: str, capsys: Captured) -> None:
    assert main(["backtest", *options]) == 2
    assert told in capsys.readouterr().err


def test_without_a_night_the_message_says_so(database: str, capsys: Captured) -> None:
    assert main(["backtest"]) == 2
    assert "nothing was recorded yet" in capsys.readouterr().err


def test_what_a_tool_measured_is_replayed_under_its_own_names(
    database: str, tmp_path: Path, capsys: Captured
) -> None:
    plain = json.loads((FIXTURES / "vllm_0.10.json").read_text())
    for at in range(NIGHTS):
        throughput = 1000 * (0.9 if at >= STEP else 1.0) + 3 * (at % 5)
        entry = plain | {"output_throughput": throughput, "date": f"{date_of(at):%Y%m%d}-020304"}
        (tmp_path / f"night-{at}.json").write_text(json.dumps(entry))
    assert main(["import", *map(str, sorted(tmp_path.glob("*.json")))]) == 0
    capsys.readouterr()
    found = printed(capsys, "--imported", "vllm-bench-serve", "--metrics", "output_throughput")
    [alarm] = [one for one in found if one["verdict"] == "regression"]
    assert str(alarm["series"]).startswith("example/model")
    assert str(alarm["change_at"]).startswith(night(STEP))
    assert alarm["change"] == pytest.approx(-0.1, abs=0.02)
