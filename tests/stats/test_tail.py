"""Tails, overlaps and what sizes can see."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from stats.correction import simes
from stats.effect import cliffs_delta
from stats.power import power, smallest_change, trials_for
from stats.rank_test import least_p, rank_test
from stats.tail import exceedance_p, tail_comparison

values = st.lists(st.integers(0, 9), min_size=1, max_size=8)


def requests(seed: int, count: int = 200) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).lognormal(0, 0.2, count))


@pytest.mark.parametrize("beyond", [1, 2, 4])
def test_an_exceedance_p_is_counted_over_all_assignments(beyond: int) -> None:
    """4 others among 9: every way to choose which ranks are theirs."""
    count, others = 5, 4
    tails = []
    for chosen in combinations(range(9), others):
        own = sorted(set(range(9)) - set(chosen))
        tails.append(sum(rank > own[-beyond] for rank in chosen))
    drawn = np.array(tails)
    for above in range(others + 1):
        mine = np.r_[np.full(above, 10.0), np.full(others - above, 1.0)]
        expected = min(1.0, 2 * min((drawn >= above).mean(), (drawn <= above).mean()))
        assert exceedance_p(count, beyond, mine, 5.0) == pytest.approx(expected)


def test_identical_tails_are_called_different_at_most_as_often_as_alpha_says() -> None:
    ps = [tail_comparison([requests(at)], [requests(9000 + at)], 90).p for at in range(2000)]  # type: ignore[union-attr]
    assert np.mean(np.array(ps) <= 0.05) <= 0.05
    assert np.mean(np.array(ps) <= 0.01) <= 0.0125


def test_a_fifth_of_slow_requests_is_seen_in_the_tail() -> None:
    slow = requests(1)
    slow[:40] *= 2
    found = tail_comparison([requests(2)], [slow], 90)
    assert found is not None
    assert found.p < 1e-4
    assert found.shares[1] > found.shares[0] + 0.1
    assert found.unit == "request"


def test_several_trials_are_ranked_by_their_shares() -> None:
    """One trial of five is bad: requests would call that certain, trials know better."""
    baseline = [requests(at) for at in range(5)]
    contender = [requests(50 + at) for at in range(5)]
    contender[0] = contender[0] * 3
    found = tail_comparison(baseline, contender, 90)
    assert found is not None
    assert found.unit == "trial"
    assert found.p > 0.05
    pooled = tail_comparison([np.concatenate(baseline)], [np.concatenate(contender)], 90)
    assert pooled is not None
    assert pooled.p < 1e-4


def test_a_tail_of_fewer_than_ten_requests_is_not_estimable() -> None:
    assert tail_comparison([requests(1)], [requests(2)], 99) is None
    assert tail_comparison([requests(1, 1000)], [requests(2)], 99) is not None


@given(st.sampled_from([1e-3, 1e3]))
def test_the_unit_of_a_tail_does_not_matter(unit: float) -> None:
    plain = tail_comparison([requests(1)], [requests(2)], 90)
    scaled = tail_comparison([requests(1) * unit], [requests(2) * unit], 90)
    assert plain is not None
    assert scaled is not None
    assert (plain.p, plain.shares) == (scaled.p, scaled.shares)


@given(values, values)
def test_cliffs_delta_is_what_mann_whitneys_u_says(first: list[int], second: list[int]) -> None:
    u = mannwhitneyu(second, first).statistic
    expected = 2 * u / (len(first) * len(second)) - 1
    assert cliffs_delta(first, second) == pytest.approx(expected)
    assert cliffs_delta(second, first) == -cliffs_delta(first, second)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8))
def test_simes_lies_between_the_least_p_and_bonferroni(ps: list[float]) -> None:
    assert min(ps) - 1e-12 <= simes(ps) <= min(1.0, min(ps) * len(ps)) + 1e-12
    assert simes(ps) == simes(ps[::-1])


def test_simes_of_equal_ps_is_that_p_and_of_none_is_1() -> None:
    assert simes([0.03] * 5) == pytest.approx(0.03)
    assert simes([]) == 1.0


@pytest.mark.parametrize(("sizes", "change"), [((5, 5), 0.04), ((8, 8), 0.03), ((10, 20), 0.02)])
def test_power_agrees_with_simulated_trials(sizes: tuple[int, int], change: float) -> None:
    m, n = sizes
    draw = np.random.default_rng(4)
    found = [
        rank_test(draw.normal(0, 0.02, n).tolist(), draw.normal(change, 0.02, m).tolist()) <= 0.01
        for _ in range(600)
    ]
    assert power(m, n, change=change, noise=0.02, alpha=0.01) == pytest.approx(
        np.mean(found), abs=0.08
    )


@given(st.integers(4, 30), st.floats(0.001, 1), st.floats(0.01, 0.2))
def test_the_smallest_change_is_seen_with_just_the_chance_asked_for(
    n: int, noise: float, alpha: float
) -> None:
    change = smallest_change(n, n, noise=noise, alpha=alpha)
    if change is None:
        assert least_p(n, n) > alpha
        return
    assert power(n, n, change=change, noise=noise, alpha=alpha) == pytest.approx(0.8, abs=0.01)
    assert power(n, n, change=2 * change, noise=noise, alpha=alpha) > 0.8


def test_sizes_that_cannot_reach_alpha_have_no_power() -> None:
    assert power(3, 3, change=9.0, noise=0.1, alpha=0.01) == 0
    assert smallest_change(3, 3, noise=0.1, alpha=0.01) is None
    with pytest.raises(ValueError, match="noise 0"):
        power(5, 5, change=1.0, noise=0, alpha=0.01)
    with pytest.raises(ValueError, match="an overlap of 0"):
        cliffs_delta([], [1.0])


def test_the_trials_needed_shrink_with_the_change() -> None:
    needed = [trials_for(change=size, noise=0.02, alpha=0.001, chance=0.9) for size in (0.02, 0.05)]
    assert needed[0] > needed[1] >= 7
