"""Spread and drift of many series at once, in spite of steps and outliers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.noise import location, mean_variance, noise_floor, residual_noise, sum_variance

SEED = 20_180
units = st.sampled_from([1e-6, 0.5, 1000.0])


def drifting(rows: int, nights: int, drift: float) -> np.ndarray:
    draw = np.random.default_rng(SEED).standard_normal((rows, nights))
    for night in range(1, nights):
        draw[:, night] = drift * draw[:, night - 1] + (1 - drift**2) ** 0.5 * draw[:, night]
    return draw


def test_the_noise_floor_of_gaussian_nights_is_their_standard_deviation() -> None:
    assert np.median(noise_floor(drifting(400, 200, 0.0))) == pytest.approx(1, rel=0.03)


def test_steps_outliers_and_gaps_hardly_move_the_noise_floor() -> None:
    values = drifting(400, 200, 0.0)
    plain = noise_floor(values)
    values[:, 90:] += 20
    values[:, ::25] += 50
    values[:, 5::50] = np.nan
    assert np.median(noise_floor(values) / plain) == pytest.approx(1, rel=0.15)


def test_a_row_of_fewer_than_two_nights_has_no_noise_floor() -> None:
    assert np.isnan(noise_floor(np.array([[1.0, np.nan]]))).all()


@given(units, st.floats(-5, 5))
def test_the_noise_floor_follows_the_unit_and_not_the_level(unit: float, level: float) -> None:
    values = drifting(3, 40, 0.0)
    scaled = noise_floor(values * unit + level * unit)
    assert scaled == pytest.approx(noise_floor(values) * unit, rel=1e-6)


def test_the_location_survives_a_third_of_wild_nights() -> None:
    values = drifting(200, 60, 0.0)
    values[:, ::3] += 1000
    middle, count = location(values)
    assert np.abs(middle).max() < 3
    assert (count == 60).all()


@pytest.mark.parametrize("drift", [0.0, 0.3, 0.6])
def test_spread_and_drift_are_estimated_without_bias(drift: float) -> None:
    values = drifting(2000, 60, drift)
    noise = residual_noise(values - values.mean(axis=1, keepdims=True), 1e-9, 0.0)
    assert np.median(noise.sigma) == pytest.approx(1, rel=0.06)
    # negative estimates are cut off at 0, so the median and not the mean is compared
    assert np.median(noise.drift) == pytest.approx(drift, abs=0.05)


def test_caution_and_drift_cost_degrees_of_freedom() -> None:
    values = drifting(50, 60, 0.3)
    plain, careful = (residual_noise(values, 1e-9, caution) for caution in (0.0, 2.0))
    assert (careful.drift > plain.drift).all()
    assert (careful.freedom < plain.freedom).all()


def test_a_spread_below_the_resolution_counts_as_the_resolution() -> None:
    noise = residual_noise(np.zeros((1, 30)), 0.25, 0.0)
    assert noise.sigma == pytest.approx([0.25])


@pytest.mark.parametrize("nights", [1, 2, 3, 14])
def test_the_variance_of_a_sum_is_the_sum_of_all_covariances(nights: int) -> None:
    lags = np.abs(np.subtract.outer(np.arange(nights), np.arange(nights)))
    expected = [(drift**lags).sum() for drift in (0.0, 0.6)]
    assert sum_variance(nights, np.array([0.0, 0.6])) == pytest.approx(expected)


def test_a_mean_never_varies_more_than_one_night() -> None:
    assert mean_variance(np.array([1.0, 2.0, 1e6]), np.full(3, 0.9)) == pytest.approx(
        [1.0, 1.0, 1.9e-5]
    )
