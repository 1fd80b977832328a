"""From a file of series to the lines that others score."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from regressions.findings import Finding
from regressions.series_file import read_series_file
from schema.documents import BadDocument
from tailwatch.__main__ import main

HEADER = "series,time,value,direction"
NIGHTS = 60


def night(at: int) -> str:
    return str(date(2026, 1, 1) + timedelta(at))


def values(*, nights: int = NIGHTS, seed: int = 1) -> np.ndarray:
    return np.asarray(100 * np.exp(0.01 * np.random.default_rng(seed).standard_normal(nights)))


def lines(own: Sequence[float], name: str = "s", more: Sequence[str] = ()) -> list[str]:
    """One row a night; `more` is appended to each."""
    rows = [f"{name},{night(at)},{value:.4f},higher" for at, value in enumerate(own)]
    return [f"{row},{extra}" for row, extra in zip(rows, more, strict=True)] if more else rows


@pytest.fixture
def replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """What the command prints for these rows."""

    def run(rows: Sequence[str], header: str = HEADER) -> list[Finding]:
        path = tmp_path / "series.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        assert main(["backtest", str(path)]) == 0
        return [Finding(**json.loads(line)) for line in capsys.readouterr().out.splitlines()]

    return run


def alarms(findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if one.is_alarm]


def test_a_step_is_one_regression_with_its_dates_change_and_reasons(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[45:] *= 0.93
    (found,) = alarms(replayed(lines(own)))
    assert found.verdict == "regression"
    assert (found.change_at, found.flagged_at) == (night(45), night(47))
    assert found.change == pytest.approx(-0.07, abs=0.015)
    assert found.p <= 6e-5
    assert found.attribution == "unknown"
    assert any("2 nights confirm the first" in reason for reason in found.reasons)


def test_the_direction_decides_what_is_worse(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[45:] *= 1.08
    (better,) = alarms(replayed(lines(own)))
    (worse,) = alarms(replayed([row.replace("higher", "lower") for row in lines(own)]))
    assert (better.verdict, worse.verdict) == ("improvement", "regression")


@pytest.mark.parametrize("spoiled", [0.0, float("nan")])
def test_a_failed_trial_is_no_value(replayed, spoiled: float) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[20] = own[40] = own[41] = own[42] = spoiled
    assert not replayed(lines(own))


def test_points_published_twice_count_once(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[40] *= 0.7
    rows = lines(own)
    assert not alarms(replayed([*rows, *rows, *rows]))


def test_a_dip_published_under_three_times_is_one_night(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[40] *= 0.7
    own[41] = own[42] = own[40]
    builds = [f"b{min(at, 40) if at < 43 else at}" for at in range(NIGHTS)]
    rows = lines(own, more=builds)
    assert not alarms(replayed(rows, f"{HEADER},build"))


def test_the_order_of_the_rows_does_not_matter(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[45:] *= 0.93
    rows = lines(own)
    assert replayed(rows) == replayed(rows[::-1])


def test_a_renamed_environment_and_a_gap_are_no_change(replayed) -> None:  # type: ignore[no-untyped-def]
    names = ["MI355X"] * 30 + ["Radeon"] * 30
    rows = lines(values(), more=names)
    assert not replayed([*rows[:35], *rows[48:]], f"{HEADER},environment")


def test_an_old_image_run_again_is_not_tonights_build(replayed) -> None:  # type: ignore[no-untyped-def]
    own, builds = values(), [f"b{at}" for at in range(NIGHTS)]
    own[:30] *= 0.8
    rows = lines(own, more=builds)
    late = [f"s,{night(at)}T12:00,{80 + at % 3},higher,b5" for at in (50, 51, 52, 53, 54)]
    (found,) = alarms(replayed([*rows, *late], f"{HEADER},build"))
    assert (found.verdict, found.change_at, found.attribution) == (
        "improvement",
        night(30),
        "build",
    )


def test_a_new_build_is_blamed_and_the_same_build_is_not(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[45:] *= 0.9
    for builds, blamed in (([f"b{at}" for at in range(NIGHTS)], "build"), (["b"] * NIGHTS, "host")):
        (found,) = alarms(replayed(lines(own, more=builds), f"{HEADER},build"))
        assert found.attribution == blamed


def test_two_engines_that_fall_together_point_to_the_host(replayed) -> None:  # type: ignore[no-untyped-def]
    rows = []
    for engine in ("vllm", "sglang"):
        own = values(seed=len(engine))
        own[45:] *= 0.9
        rows += lines(own, name=engine, more=[f"{engine},b{at},h1" for at in range(NIGHTS)])
    found = alarms(replayed(rows, f"{HEADER},engine,build,environment"))
    assert [one.attribution for one in found] == ["build", "host"]  # the second knows the first
    assert found[0].episode != found[1].episode


def test_metrics_of_one_engine_that_move_together_are_one_episode(replayed) -> None:  # type: ignore[no-untyped-def]
    rows = []
    for metric in ("a", "b", "c"):
        own = values(seed=ord(metric))
        own[45:] *= 0.9
        rows += lines(own, name=metric, more=["vllm"] * NIGHTS)
    found = alarms(replayed(rows, f"{HEADER},engine"))
    assert len(found) == 3
    assert len({one.episode for one in found}) == 1


def test_suspicion_and_what_became_of_it_share_an_episode(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[40] *= 0.7
    suspected, transient = replayed(lines(own))
    assert (suspected.verdict, transient.verdict) == ("suspected", "transient")
    assert suspected.episode == transient.episode
    assert transient.change_at == suspected.flagged_at == night(40)
    assert transient.flagged_at == night(41)


def test_several_rows_at_one_time_are_trials_of_one_night(replayed) -> None:  # type: ignore[no-untyped-def]
    rows = []
    for trial in range(3):
        own = values(seed=trial)
        own[50:] *= 0.93
        rows += lines(own, more=[str(trial)] * NIGHTS)
    (found,) = alarms(replayed(rows, f"{HEADER},trial"))
    assert found.flagged_at == night(51)


def test_times_may_be_numbers_and_are_given_back_as_written(replayed) -> None:  # type: ignore[no-untyped-def]
    own = values()
    own[45:] *= 0.9
    rows = [f"s,{at + 100},{value},higher" for at, value in enumerate(own)]
    (found,) = alarms(replayed(rows))
    assert (found.change_at, found.flagged_at) == ("145", "147")


def test_every_mistake_is_told_with_its_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        f"{HEADER}\ns,2026-01-01,1.0,higher\ns,yesterday,1.0,higher\n,2026-01-02,1.0,higher\n"
        "s,2026-01-03,fast,higher\ns,2026-01-04,inf,higher\ns,2026-01-05,1.0,up\n"
        "s,2026-01-06,1.0,lower\ns,2026-01-07\ns,2026-01-08,,higher,extra\n\n"
    )
    with pytest.raises(BadDocument) as caught:
        read_series_file(path)
    assert [message.removeprefix(str(path)) for message in caught.value.messages] == [
        ":3: time: 'yesterday' is neither an ISO 8601 time nor a number",
        ":4: series: is empty",
        ":5: value: 'fast' is not a finite number; leave it empty if it failed",
        ":6: value: 'inf' is not a finite number; leave it empty if it failed",
        ":7: direction: 'up' is neither lower nor higher",
        ":8: direction: differs from the first row of series 's'",
        ":9: direction: '' is neither lower nor higher",
        ":10: has more fields than the header",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "series: is missing"),
        ("series,time,value\n", "direction: is missing"),
        ("series,time,value,direction,biuld\n", "biuld: is not a column here; did you mean build?"),
        (f"{HEADER}\n", "has a header and no rows"),
        (f"{HEADER}\na,1,2,lower,5,6,7\na,1,2,lower\n", ":2: 7 fields, the header has 4"),
    ],
)
def test_a_file_that_is_no_table_of_series_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadDocument) as caught:
        read_series_file(path)
    assert any(told in message for message in caught.value.messages)


def test_a_missing_file_is_told_and_not_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", str(tmp_path / "none.csv")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_table_shows_the_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = values()
    own[45:] *= 0.9
    path = tmp_path / "series.csv"
    path.write_text("\n".join([HEADER, *lines(own)]))
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["backtest", str(path), "--format", "table"]) == 0
    printed = capsys.readouterr().out
    assert "regression" in printed
    assert "confirm" in printed
