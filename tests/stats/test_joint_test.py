"""Exchanging whole trials keeps the level whatever the dependence, and sees what is large."""

import numpy as np
import pytest

from stats.joint_test import MOST_ASSIGNMENTS, assignments, joint_test

METRICS = 20
FLOORS = np.full(METRICS, 0.03)
LEAST = 2 / 252


def night(random: np.random.Generator, *, shift: float = 0.0) -> np.ndarray:
    """5 v 5 trials whose metrics share half of their 1 % noise; metric 0 is shifted."""
    values = random.normal(size=(10, METRICS)) + random.normal(size=(10, 1))
    values *= 0.01 / 2**0.5
    values[:5, 0] += shift
    return values


def test_equal_sides_are_called_different_as_often_as_agreed() -> None:
    random = np.random.default_rng(1)
    least = [min(joint_test(night(random), 5, FLOORS)) for _ in range(600)]
    assert np.mean([p <= 0.05 for p in least]) == pytest.approx(12 / 252, abs=0.025)


def test_one_large_change_reaches_the_least_p_among_many_metrics() -> None:
    random = np.random.default_rng(2)
    found = [joint_test(night(random, shift=0.10), 5, FLOORS)[0] for _ in range(100)]
    assert np.mean([p == pytest.approx(LEAST) for p in found]) > 0.98


def test_a_metric_without_noise_does_not_outrank_a_change_that_matters() -> None:
    values = night(np.random.default_rng(3), shift=0.10)
    values[:, 1] = 0.0
    values[[0, 1, 2, 3, 9], 1] = 1e-6  # nearly separates the sides, by nothing of consequence
    ps = joint_test(values, 5, FLOORS)
    assert ps[0] == pytest.approx(LEAST)
    assert ps[1] > 0.5


def test_swapping_the_sides_changes_nothing() -> None:
    values = night(np.random.default_rng(4), shift=0.02)
    assert joint_test(values[::-1], 5, FLOORS) == joint_test(values, 5, FLOORS)


def test_a_trial_without_a_value_is_left_out_of_that_metric_only() -> None:
    values = night(np.random.default_rng(5), shift=0.10)
    values[[0, 7], 0] = np.nan
    values[:, 3] = np.nan
    values[2, 3] = 0.5
    ps = joint_test(values, 5, FLOORS)
    assert ps[0] == pytest.approx(LEAST, abs=0.01)
    assert ps[3] == 1


def test_more_assignments_than_can_be_tried_are_drawn_alike_every_time() -> None:
    labels = assignments(5, 40)
    assert labels.shape == (MOST_ASSIGNMENTS, 45)
    assert (labels.sum(axis=1) == 5).all()
    assert labels[0].tolist() == [1.0] * 5 + [0.0] * 40
    assignments.cache_clear()
    assert (assignments(5, 40) == labels).all()
