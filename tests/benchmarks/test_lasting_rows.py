"""The rows on changes that are found when they have lasted count what they say."""

import numpy as np
import pytest
from detecting.lasting_rows import _scored, _surest_of_runs, drawn_halfway


def test_the_rank_rule_speaks_once_a_change_and_dates_it_between_its_sides() -> None:
    values = np.random.default_rng(3).normal(100, 1, 80)
    values[40:] -= 10
    (told,) = _surest_of_runs(values)
    assert abs(told - 40) <= 1
    assert _surest_of_runs(values[:20]) == []


def test_an_alarm_dated_near_the_change_counts_and_any_of_the_quiet_is_false() -> None:
    series = [np.ones(64), np.ones(64)]
    quiet, changed = [[30], []], [[5, 34], [36]]
    recall, rate = _scored(quiet, changed, series, None)
    assert recall == 0.5
    assert rate == pytest.approx(100 / (2 * 50))
    assert _scored(quiet, changed, series, 35) == (1.0, rate)


def test_without_otava_a_row_still_tells_ours_and_the_rank_rule() -> None:
    row = drawn_halfway(lambda *_: None, 0.01, 30, 30, "Gaussian")
    assert row.is_met
    assert row.reached.startswith("recall 1.00")
    assert row.others.startswith("Mann-Whitney, 14 v 14 1.00 at ")
