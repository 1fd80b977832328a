"""The last nights against those before them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from stats.recent_shift import baselines, closeness, reach, recent_shift
from stats.split import best_split

NIGHTS = 60


def p_of(values: np.ndarray, nights: int) -> np.ndarray:
    """p of the last nights of each row, with no drift assumed beyond the estimate."""
    kept = np.full((len(values), 1), np.nan)
    before = baselines(values[:, :-nights], kept, 1e-9, 0.0)
    return recent_shift(values[:, -nights:], before, np.ones((len(values), nights))).p


def noise(rows: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, NIGHTS))


@pytest.mark.parametrize("nights", [2, 3, 7])
def test_independent_nights_are_called_as_often_as_p_says_or_less(nights: int) -> None:
    p = p_of(noise(20_000), nights)
    for alpha in (0.05, 0.01, 0.001):
        assert (p <= alpha).mean() <= alpha * 1.3


def test_gaussian_nights_give_about_the_p_of_a_t_test() -> None:
    values = noise(300)
    values[:, -5:] += 1.0
    ours = p_of(values, 5)
    theirs = ttest_ind(values[:, -5:], values[:, :-5], axis=1).pvalue
    assert np.median(np.log10(ours) - np.log10(theirs)) == pytest.approx(0, abs=0.3)


@given(st.sampled_from([1e-3, 40.0]), st.floats(-9, 9))
def test_p_follows_neither_unit_nor_level(unit: float, level: float) -> None:
    values = noise(3)
    assert p_of(values * unit + level * unit, 3) == pytest.approx(p_of(values, 3), rel=1e-4)


def test_p_is_the_same_for_a_change_up_and_down() -> None:
    values = noise(20)
    assert p_of(-values, 3) == pytest.approx(p_of(values, 3))


def test_a_larger_step_never_has_a_larger_p() -> None:
    values, steps = noise(50), []
    for size in (3.0, 4.0, 6.0, 9.0):
        shifted = values.copy()
        shifted[:, -3:] += size
        steps.append(p_of(shifted, 3))
    assert (np.diff(steps, axis=0) <= 0).all()


def test_without_its_most_extreme_night_a_dip_is_nothing_and_a_step_still_is_one() -> None:
    values = noise(1) * 0.01
    before = baselines(values[:, :-3], np.full((1, 1), np.nan), 1e-9, 0.0)
    dip, step = np.array([[0.0, -1.0, 0.0]]), np.array([[-1.0, -1.0, -0.9]])
    assert recent_shift(dip, before, np.ones((1, 3))).p_rest[0] > 0.1
    assert recent_shift(step, before, np.ones((1, 3))).p_rest[0] < 1e-6


def test_drifting_nights_are_worth_less() -> None:
    smooth = np.repeat(noise(200)[:, ::4], 4, axis=1)[:, :NIGHTS]
    rough = noise(200, seed=8)
    for values in (smooth, rough):
        values[:, -3:] += 4.0
    assert np.median(p_of(smooth, 3)) > 10 * np.median(p_of(rough, 3))


def test_the_cheap_look_lets_every_real_step_through() -> None:
    healthy, windows = noise(500)[:, -14:].T, (2, 3, 7)
    stepped = healthy.copy()
    stepped[:3] += 6.0  # the newest come first
    limits = reach(np.full(500, 40.0), np.full(500, 0.3), windows, 3.2)
    assert (closeness(stepped, limits, windows).max(axis=0) >= 1).mean() > 0.99
    assert (closeness(healthy, limits, windows).max(axis=0) >= 1).mean() < 0.03


def test_a_window_longer_than_the_nights_there_are_is_not_close() -> None:
    limits = reach(np.array([40.0]), np.array([0.0]), (2, 7), 3.2)
    assert (closeness(np.full((3, 1), 8.0), limits, (2, 7)) > 0).tolist() == [[True], [False]]


@pytest.mark.parametrize(("tonight", "waits"), [(-9.0, True), (-3.0, False), (0.0, False)])
def test_a_night_apart_from_the_others_of_its_window_is_seen_to_be(
    tonight: float, waits: bool
) -> None:
    before = baselines(noise(1)[:, :-3], np.full((1, 1), np.nan), 1e-9, 0.0)
    found = recent_shift(np.array([[-2.4, -2.6, tonight]]), before, np.ones((1, 3)))
    assert (found.p_tonight[0] <= 0.001) == waits


@given(st.integers(1, 28), st.sampled_from([-3.0, 2.0]))
def test_a_clean_step_is_dated_to_its_night(first: int, size: float) -> None:
    values = np.zeros(30)
    values[first:] = size
    assert best_split(values) == first


def test_a_split_passes_over_missing_nights_and_needs_three() -> None:
    assert best_split(np.array([0.0, np.nan, 0.1, np.nan, 5.0, 5.0])) == 4
    with pytest.raises(ValueError, match="within 2 values"):
        best_split(np.array([1.0, np.nan, 2.0]))
