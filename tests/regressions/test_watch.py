"""Series whose truth is known, watched night by night."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regressions.histories import histories
from regressions.policy import SeriesRules, read_policy
from regressions.watch import Kind, Move, replay

ALARMS = (Kind.STEP, Kind.DRIFT)


@pytest.fixture(scope="module")
def rules() -> SeriesRules:
    return read_policy().series


def healthy(
    rows: int, nights: int, *, cv: float = 0.01, drift: float = 0.0, trials: int = 1, seed: int = 3
) -> np.ndarray:
    """series x nights x trials around 100."""
    draw = np.random.default_rng(seed).standard_normal((rows, nights + 50, trials))
    for night in range(1, nights + 50):
        draw[:, night] = drift * draw[:, night - 1] + (1 - drift**2) ** 0.5 * draw[:, night]
    return np.asarray(100 * np.exp(cv * draw[:, 50:]))


def seen(trials: np.ndarray, rules: SeriesRules, *kinds: Kind) -> list[Move]:
    return [move for move in replay(histories(trials), rules) if move.kind in (kinds or ALARMS)]


@pytest.mark.parametrize(("drift", "most"), [(0.0, 2), (0.6, 5)])
def test_healthy_series_are_left_alone(rules: SeriesRules, drift: float, most: int) -> None:
    """2000 series: 0.05 % are 1 and 0.1 % are 2 of them."""
    moves = seen(healthy(2000, 70, cv=0.03, drift=drift), rules, *ALARMS, Kind.RETURN)
    assert len({move.row for move in moves if move.night >= 40}) <= most


def test_a_step_is_found_by_its_third_night_once_and_dated(rules: SeriesRules) -> None:
    trials = healthy(200, 90)
    trials[:, 60:] *= 0.93
    moves = [move for move in seen(trials, rules) if move.night >= 60]
    assert len(moves) == len({move.row for move in moves}) > 195
    assert np.median([move.night for move in moves]) == 62
    assert np.mean([abs(move.began - 60) <= 1 for move in moves]) > 0.95


def test_three_trials_a_night_find_it_by_the_second(rules: SeriesRules) -> None:
    trials = healthy(200, 62, trials=3)
    trials[:, 60:] *= 0.95
    found = {move.row for move in seen(trials, rules) if move.night >= 60}
    assert len(found) > 190


def test_one_night_with_many_trials_alarms_nobody(rules: SeriesRules) -> None:
    trials = healthy(50, 80, trials=5)
    trials[:, 60] *= 0.5
    assert not seen(trials, rules)


def test_a_dip_is_transient_and_the_collapse_after_it_is_found(rules: SeriesRules) -> None:
    trials = healthy(100, 80)
    trials[:, 60] *= 0.7
    trials[:, 70:] *= 0.8
    dips = seen(trials, rules, Kind.TRANSIENT)
    assert {(move.row, move.began, move.night) for move in dips} >= {
        (row, 60, 61) for row in range(100)
    }
    steps = {move.row for move in seen(trials, rules) if 70 <= move.night <= 72}
    assert len(steps) == 100


def test_what_lasts_for_days_only_is_told_as_back_where_it_was(rules: SeriesRules) -> None:
    trials = healthy(50, 90)
    trials[:, 60:64] *= 0.85
    assert len(seen(trials, rules, Kind.RETURN)) == 50


def test_a_step_in_two_parts_is_one(rules: SeriesRules) -> None:
    trials = healthy(50, 90)
    trials[:, 60:] *= 0.93
    trials[:, 65:] *= 0.93
    assert len(seen(trials, rules)) == 50


def test_a_new_segment_keeps_the_spread_so_that_a_second_step_is_found_soon(
    rules: SeriesRules,
) -> None:
    trials = healthy(100, 100)
    trials[:, 60:] *= 0.9
    trials[:, 80:] *= 0.9
    second = {move.row for move in seen(trials, rules) if 80 <= move.night <= 83}
    assert len(second) > 90


def test_what_creeps_is_found_by_the_second_reference(rules: SeriesRules) -> None:
    trials = healthy(100, 260)
    trials *= (1 - 0.0006 * np.maximum(0, np.arange(260) - 60))[None, :, None]
    assert len({move.row for move in seen(trials, rules)}) > 90


def test_a_metric_without_noise_is_judged_by_its_resolution(rules: SeriesRules) -> None:
    trials = np.full((1, 60, 1), 344.0)
    assert not seen(trials, rules)
    trials[:, 40:] = 359.0
    assert [move.began for move in seen(trials, rules)] == [40]


def test_too_little_history_says_nothing(rules: SeriesRules) -> None:
    trials = healthy(20, 12)
    trials[:, 6:] *= 0.5
    assert not seen(trials, rules)


def test_values_around_zero_are_judged_in_units_of_the_first_nights(rules: SeriesRules) -> None:
    trials = np.random.default_rng(1).standard_normal((20, 80, 1)) + 0.5
    trials[:, 60:] += 12
    assert len(seen(trials, rules)) == 20


def test_improvements_are_found_as_regressions_are(rules: SeriesRules) -> None:
    trials = healthy(60, 80)
    trials[:, 60:] *= 0.9
    down, up = (
        {(move.row, move.began) for move in seen(table, rules)} for table in (trials, 1e4 / trials)
    )
    assert down == up


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 85))
def test_a_night_is_judged_the_same_whatever_comes_after_it(nights: int) -> None:
    rules = read_policy().series
    trials = healthy(30, 90, cv=0.03, drift=0.5)
    trials[:15, 50:] *= 0.8
    whole = [move for move in replay(histories(trials), rules) if move.night < nights]
    part = replay(histories(trials[:, :nights]), rules)
    assert [(m.row, m.night, m.began, m.kind) for m in part] == [
        (m.row, m.night, m.began, m.kind) for m in whole
    ]


@pytest.mark.parametrize("unit", [1e-6, 1e9])
def test_the_unit_of_the_values_changes_nothing(rules: SeriesRules, unit: float) -> None:
    trials = healthy(30, 80)
    trials[:, 60:] *= 0.93
    plain, scaled = seen(trials, rules), seen(trials * unit, rules)
    assert [(m.row, m.night, m.began) for m in plain] == [(m.row, m.night, m.began) for m in scaled]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 39), min_size=1, max_size=4, unique=True))
def test_a_series_is_judged_the_same_in_any_company(rows: list[int]) -> None:
    rules = read_policy().series
    trials = healthy(40, 100, cv=0.03, drift=0.5)
    trials[:15, 50:] *= 0.8
    trials[5:20, 80] *= 0.5
    trials[10:30, ::13] = np.nan

    def told(moves: list[Move], row: int, at: int) -> list[tuple[object, ...]]:
        own = [move for move in moves if move.row == at]
        return [(row, m.night, m.began, m.kind, pytest.approx(m.found.p)) for m in own]

    together = replay(histories(trials), rules)
    some = replay(histories(trials[rows]), rules)
    for at, row in enumerate(rows):
        assert told(some, row, at) == told(together, row, row)


def test_a_dip_after_two_low_nights_is_still_a_dip(rules: SeriesRules) -> None:
    trials = healthy(100, 60)
    middle = np.median(trials[:, :48], axis=1)
    trials[:, 48] = trials[:, 49] = middle * np.exp(-0.024)
    trials[:, 50] = middle * 0.75
    trials[:, 51] = middle
    assert not [move for move in seen(trials, rules) if move.night == 50]
    assert len(seen(trials, rules, Kind.TRANSIENT)) >= 95
