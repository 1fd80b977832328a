"""Samples: which values may enter one, and which nights make a baseline window."""

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.values import (
    not_estimable,
    series,
    values_before,
    values_of,
    values_of_latest,
    values_of_night,
)
from schema.trials import Arm, TrialState

Make = Callable[..., Any]
NIGHT = "2026-11-22"


def of(values: list[Any], metric: str = "ttft_p50") -> list[float]:
    return [value.value for value in values if value.metric == metric]


def test_a_sample_takes_valid_trials_only(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    record_night(session, make_night())
    for replicate, state in enumerate(TrialState):
        numbers = {} if state is TrialState.FAILED else {"ttft_p50": float(replicate + 1)}
        own = make_trial(state=state, measurements=numbers)
        record(session, make_launch(replicate=replicate, trials=(own,)))
    assert of(values_of_night(session, NIGHT)) == [1.0]


def test_of_a_repeated_replicate_the_latest_valid_attempt_counts(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make, make_build: Make
) -> None:
    record_night(session, make_night())
    rebuilt = make_build().model_copy(update={"digest": "sha256:again"})
    attempts = [  # state, value, build
        (TrialState.VALID, 1.0, make_build()),
        (TrialState.VALID, 2.0, rebuilt),  # the same build as asked for, installed anew
        (TrialState.INVALID, 3.0, make_build()),
    ]
    for attempt, (state, value, build) in enumerate(attempts, start=1):
        own = make_trial(state=state, measurements={"ttft_p50": value})
        record(session, make_launch(attempt=attempt, build=build, trials=(own,)))
    sample = values_of_night(session, NIGHT)
    assert of(sample) == [2.0]
    assert sample[0].build == rebuilt.key


def test_arms_builds_and_replicates_are_different_trials(
    session: Session, make_night: Make, make_launch: Make, make_build: Make
) -> None:
    record_night(session, make_night())
    for arm in (Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER):
        for version in ("0.31.0", "0.32.0"):
            for replicate in range(2):
                build = make_build(version)
                record(session, make_launch(arm=arm, build=build, replicate=replicate))
    values = [one for one in values_of_night(session, NIGHT) if one.metric == "ttft_p50"]
    assert len(values) == 2 * 2 * 2 * 2, "arms, builds, replicates, cells"
    assert len({one.trial for one in values}) == 16
    assert values[0].build_name == "vllm 0.31.0"


def fill(session: Session, nights: dict[str, Any], make_night: Make, make_launch: Make) -> None:
    """Nights by name, each with the launch overrides it has."""
    for name, overrides in nights.items():
        record_night(session, make_night(name))
        if overrides is not None:
            record(session, make_launch(night=name, **overrides))


def test_a_window_holds_the_last_nights_with_values_and_not_tonight(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make, make_cell: Make
) -> None:
    failed = {"trials": (make_trial(state=TrialState.FAILED),)}
    nights = {f"2026-11-{day}": {} for day in (17, 18, 19, 22, 23)}
    nights |= {"2026-11-20": failed, "2026-11-21": None, "2026-11-21-extra": {"arm": Arm.AD_HOC}}
    fill(session, nights, make_night, make_launch)
    window = values_before(session, [make_cell().key], NIGHT, nights=2)
    assert {one.night for one in window} == {"2026-11-18", "2026-11-19"}
    assert [one.date for one in window] == sorted(one.date for one in window)
    assert {one.cell for one in window} == {make_cell().key}


def test_each_cell_has_its_own_window(
    session: Session, make_night: Make, make_launch: Make, make_cell: Make
) -> None:
    burst, steady = make_cell("burst"), make_cell("steady")
    nights = {"2026-11-01": {"cells": [burst]}, "2026-11-02": {"cells": [steady]}}
    fill(session, nights, make_night, make_launch)
    window = values_before(session, [burst.key, steady.key], NIGHT, nights=1)
    assert {(one.cell, one.date) for one in window} == {
        (burst.key, date(2026, 11, 1)),
        (steady.key, date(2026, 11, 2)),
    }


def test_a_window_takes_the_arms_it_is_told(
    session: Session, make_night: Make, make_launch: Make, make_cell: Make
) -> None:
    fill(session, {"2026-11-01": {"arm": Arm.CONTROL}}, make_night, make_launch)
    key = make_cell().key
    assert values_before(session, [key], NIGHT, nights=5) == []
    assert values_before(session, [key], NIGHT, nights=5, arms=[Arm.CONTROL])


def test_the_latest_nights_have_the_values_of_every_arm(
    session: Session, make_night: Make, make_launch: Make
) -> None:
    nights = {"2026-11-19": {}, "2026-11-20": {"arm": Arm.RELEASE_BASELINE}, "2026-11-21": {}}
    fill(session, nights, make_night, make_launch)
    cell = make_night().cells[0].key
    found = values_of_latest(session, [cell], 2)
    assert {one.cell for one in found} == {cell}
    told = dict.fromkeys((one.night, one.arm) for one in found)
    assert list(told) == [("2026-11-20", Arm.RELEASE_BASELINE), ("2026-11-21", Arm.NIGHTLY)]


def test_a_series_goes_through_the_nights_in_order(
    session: Session, make_night: Make, make_launch: Make, make_cell: Make
) -> None:
    nights = {"2026-11-20": {}, "2026-11-18-release-x": {}, "2026-11-19": {}}
    fill(session, nights, make_night, make_launch)
    points = series(session, make_cell().key, "itl_p50")
    assert [one.date.day for one in points] == [18, 19, 20]
    assert {one.metric for one in points} == {"itl_p50"}


def test_values_of_a_build_come_by_metric_over_all_nights(
    session: Session, make_night: Make, make_launch: Make, make_cell: Make, make_build: Make
) -> None:
    old, new = make_build("0.31.0"), make_build("0.32.0")
    nights = {
        "2026-11-01": {"build": old},
        "2026-11-02": {"build": new},
        "2026-11-03": {"build": new, "arm": Arm.AD_HOC},
    }
    fill(session, nights, make_night, make_launch)
    found = values_of(session, make_cell().key, new.key)
    assert sorted(found) == ["itl_p50", "ttft_p50"]
    assert [one.night for one in found["ttft_p50"]] == ["2026-11-02", "2026-11-03"]
    nightly = values_of(session, make_cell().key, new.key, [Arm.NIGHTLY])
    assert [one.night for one in nightly["ttft_p50"]] == ["2026-11-02"]


def test_what_could_not_be_estimated_is_told_with_its_reason(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    record_night(session, make_night())
    record(session, make_launch())
    invalid = make_trial(state=TrialState.INVALID)
    record(session, make_launch(replicate=1, trials=(invalid,)))
    found = not_estimable(session, NIGHT)
    assert [one.cell_slug.rpartition("/")[2] for one in found] == ["burst", "steady"]
    assert {(one.metric, one.reason) for one in found} == {
        ("ttft_p99", "2 requests, 1000 are needed")
    }
