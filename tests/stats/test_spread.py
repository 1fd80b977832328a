"""Coefficients of variation, and what their intervals cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.spread import variation

VALUES = st.lists(st.floats(0.5, 2.0), min_size=2, max_size=8)


@given(VALUES, st.floats(1e-3, 1e3))
def test_a_spread_does_not_depend_on_the_unit(values: list[float], factor: float) -> None:
    here, there = variation([values]), variation([[value * factor for value in values]])
    assert here is not None
    assert there is not None
    assert there.cv == pytest.approx(here.cv, rel=1e-6, abs=1e-9)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_the_interval_holds_the_estimate(groups: list[list[float]]) -> None:
    found = variation(groups)
    assert found is not None
    assert found.freedom == sum(len(group) - 1 for group in groups)
    if found.interval is not None:
        assert found.interval[0] < found.cv < found.interval[1]


def test_groups_at_different_levels_do_not_add_to_the_spread() -> None:
    near = variation([[0.99, 1.01], [99.0, 101.0]])
    assert near is not None
    assert near.cv == pytest.approx(0.01 * 2**0.5)


def test_one_value_has_no_spread() -> None:
    assert variation([[1.0], [2.0]]) is None
    assert variation([]) is None


def test_equal_values_have_no_interval() -> None:
    found = variation([[3.1, 3.1, 3.1], [706.6, 706.6, 706.6]])
    assert found is not None
    assert (found.cv, found.interval) == (0.0, None)


@pytest.mark.parametrize("launches", [3, 5])
def test_the_interval_covers_the_truth_as_often_as_it_says(launches: int) -> None:
    random = np.random.default_rng(5)
    found = [variation([random.normal(1, 0.02, launches).tolist()]) for _ in range(2_000)]
    covered = sum(
        one.interval[0] <= 0.02 <= one.interval[1] for one in found if one and one.interval
    )
    assert covered / len(found) == pytest.approx(0.95, abs=0.015)
