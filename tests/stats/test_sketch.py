"""Sketches: any percentile within 1 %, however the observations are put together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.sketch import ACCURACY, ALPHA, merged, percentile, restored, sketch

seconds = st.floats(1e-6, 1e5)
shares = st.floats(0, 1)
some = st.lists(seconds | st.just(0.0), min_size=1, max_size=200)


@given(some, shares)
def test_any_percentile_is_within_one_percent(values: list[float], share: float) -> None:
    truth = float(np.quantile(values, share))
    assert percentile(sketch(values), share) == pytest.approx(truth, rel=ALPHA * 1.0001, abs=1e-300)


def test_the_promise_is_wider_than_the_bins() -> None:
    assert ALPHA < ACCURACY == 0.01


@given(st.lists(st.floats(-1e5, 1e5).filter(lambda v: abs(v) > 1e-9 or v == 0), min_size=1))
def test_every_observation_is_restored_in_its_place(values: list[float]) -> None:
    ordered = np.sort(values)
    assert np.allclose(restored(sketch(values)), ordered, rtol=ALPHA * 1.0001, atol=0)


@given(some, some, some)
def test_merging_is_the_sketch_of_all_of_them(
    one: list[float], two: list[float], three: list[float]
) -> None:
    a, b, c = sketch(one), sketch(two), sketch(three)
    together = sketch([*one, *two, *three])
    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == merged(c, a, b) == together


def test_the_worst_observation_of_a_bin_is_within_one_percent() -> None:
    """On both sides of every bound, where the error is largest."""
    bounds = ((1 + ALPHA) / (1 - ALPHA)) ** np.arange(-700, 300)
    for values in (bounds * (1 - 1e-9), bounds * (1 + 1e-9)):
        told = np.array([percentile(sketch([value]), 0.5) for value in values])
        assert (np.abs(told / values - 1) <= ACCURACY).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite values only"):
        sketch([1.0, value])


def test_nothing_has_no_percentiles() -> None:
    assert sketch([]) == {}
    assert len(restored({})) == 0
    with pytest.raises(ValueError, match="no observations"):
        percentile({}, 0.5)


def test_half_a_million_gaps_are_a_few_hundred_counts() -> None:
    gaps = np.random.default_rng(0).lognormal(np.log(0.01), 0.5, 500_000)
    assert len(sketch(gaps.tolist())) < 400
