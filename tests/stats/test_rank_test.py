"""The rank test agrees with counting, with scipy, and with itself from the other side."""

from itertools import combinations
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, rankdata

from stats.rank_test import is_exact, least_p, rank_test, trials_needed

distinct = st.lists(st.integers(-500, 500), min_size=2, max_size=16, unique=True)
tied = st.lists(st.integers(0, 4), min_size=1, max_size=5)


def counted_p(baseline: list[int], contender: list[int]) -> float:
    """By trying every assignment of the labels."""
    ranks = rankdata([*contender, *baseline])
    m, mean = len(contender), len(contender) * (len(ranks) + 1) / 2
    observed = abs(sum(ranks[:m]) - mean)
    chosen = list(combinations(ranks, m))
    as_far = sum(abs(sum(some) - mean) >= observed - 1e-9 for some in chosen)
    return max(as_far / len(chosen), least_p(m, len(baseline)))


@given(tied, tied)
def test_ties_are_counted_exactly(baseline: list[int], contender: list[int]) -> None:
    assert rank_test(baseline, contender) == pytest.approx(counted_p(baseline, contender))


@given(distinct, st.data())
def test_without_ties_it_agrees_with_scipy(values: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    baseline, contender = values[:cut], values[cut:]
    expected = mannwhitneyu(contender, baseline, method="exact").pvalue
    assert rank_test(baseline, contender) == pytest.approx(expected)


@given(tied, tied)
def test_swapping_the_sides_keeps_p(baseline: list[int], contender: list[int]) -> None:
    assert rank_test(baseline, contender) == rank_test(contender, baseline)


@given(tied, tied, st.sampled_from([1e-9, 0.5, 1000.0]))
def test_p_does_not_depend_on_the_unit(
    baseline: list[int], contender: list[int], unit: float
) -> None:
    scaled = rank_test([x * unit for x in baseline], [x * unit for x in contender])
    assert scaled == rank_test(baseline, contender)


@given(tied, tied)
def test_p_is_never_below_the_least_p_of_the_sizes(
    baseline: list[int], contender: list[int]
) -> None:
    assert least_p(len(baseline), len(contender)) <= rank_test(baseline, contender) <= 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((3, 3), 0.1), ((4, 4), 2 / 70), ((5, 5), 2 / 252), ((20, 3), 2 / 1771), ((1, 1), 1.0)],
)
def test_separated_sides_reach_the_least_p(sizes: tuple[int, int], expected: float) -> None:
    m, n = sizes
    assert least_p(m, n) == pytest.approx(expected)
    assert rank_test(list(range(m)), list(range(100, 100 + n))) == pytest.approx(expected)


def test_equal_values_everywhere_are_no_evidence() -> None:
    assert rank_test([3.0] * 5, [3.0] * 5) == 1


@pytest.mark.parametrize("sizes", [(60, 60), (300, 90), (5, 400)])
def test_many_trials_are_approximated_as_scipy_does(sizes: tuple[int, int]) -> None:
    draw = Random(6).gauss
    baseline = [round(draw(10, 1), 1) for _ in range(sizes[0])]
    contender = [round(draw(10.3, 1), 1) for _ in range(sizes[1])]
    assert not is_exact(*sizes)
    expected = mannwhitneyu(contender, baseline, method="asymptotic").pvalue
    assert rank_test(baseline, contender) == pytest.approx(expected, rel=1e-6)


def test_many_equal_values_are_no_evidence_either() -> None:
    assert rank_test([1.0] * 100, [1.0] * 100) == 1


@pytest.mark.parametrize(("alpha", "needed"), [(0.5, 2), (0.05, 4), (0.01, 5), (0.001, 7)])
def test_the_trials_needed_are_the_fewest_that_reach_alpha(alpha: float, needed: int) -> None:
    assert trials_needed(alpha) == needed
    assert least_p(needed, needed) <= alpha < least_p(needed - 1, needed - 1)


def test_an_alpha_or_a_sample_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha 0 "):
        trials_needed(0)
    with pytest.raises(ValueError, match="3 v 0"):
        rank_test([1.0, 2.0, 3.0], [])


def test_the_largest_exact_test_counts_as_many_ways_as_there_are() -> None:
    halves = rank_test(list(range(50)), [x + 0.5 for x in range(50)])
    expected = mannwhitneyu(range(50), [x + 0.5 for x in range(50)], method="exact").pvalue
    assert is_exact(50, 50)
    assert comb(100, 50) > 2**53
    assert halves == pytest.approx(expected)
