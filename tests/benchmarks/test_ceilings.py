"""The ceilings that stand beside the detector's missed rows."""

import numpy as np
import pytest
from detecting.ceilings import lasting, oracle_recall
from detecting.known_series import Labelled
from scipy.stats import norm


def test_in_gaussian_noise_the_oracle_has_the_power_of_a_z_test() -> None:
    quantiles = norm.ppf((np.arange(4000) + 0.5) / 4000)
    (recall,) = oracle_recall([0.02 * quantiles], -0.05, [0.001])
    expected = norm.cdf(3**0.5 * 0.05 / 0.02 - norm.isf(0.0005))
    assert recall == pytest.approx(expected, abs=0.03)


def test_the_oracle_finds_less_of_a_smaller_change_and_at_fewer_false_alarms() -> None:
    series = list(np.random.default_rng(5).normal(0, 0.02, (10, 26)))
    large, strict = oracle_recall(series, -0.05, [0.001, 0.0001])
    small, _ = oracle_recall(series, -0.02, [0.001, 0.0001])
    assert large > strict
    assert large > small


@pytest.mark.parametrize(("length", "lasts"), [(10, False), (60, True)])
def test_a_bout_does_not_last(length: int, lasts: bool) -> None:
    values = np.full(200, 100.0)
    values[100 : 100 + length] = 105.0
    one = Labelled(name="s", values=values, changes={})
    assert lasting(one, 100) is lasts
