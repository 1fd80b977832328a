"""Corrections are those of the papers and never make a p smaller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from stats.correction import adjusted_after_selection, benjamini_hochberg

ps = st.lists(st.floats(1e-6, 1), min_size=1, max_size=12)


@given(ps)
def test_benjamini_hochberg_agrees_with_scipy(values: list[float]) -> None:
    assert benjamini_hochberg(values) == pytest.approx(list(false_discovery_control(values)))


@given(ps)
def test_adjusting_keeps_the_order_and_lowers_nothing(values: list[float]) -> None:
    adjusted = benjamini_hochberg(values)
    assert all(
        after >= before * (1 - 1e-12) for before, after in zip(values, adjusted, strict=True)
    )
    in_order = [after for _, after in sorted(zip(values, adjusted, strict=True))]
    assert in_order == sorted(in_order)


@given(ps)
def test_the_best_of_a_family_is_adjusted_as_its_family(values: list[float]) -> None:
    after = [adjusted_after_selection(values, p) for p in values]
    assert after == pytest.approx(benjamini_hochberg(values))


@given(ps, st.floats(1e-6, 1), st.floats(0.001, 0.999))
def test_a_hypothesis_is_found_exactly_when_its_family_is_selected_and_leaves_room(
    others: list[float], p: float, q: float
) -> None:
    families = [*others, p / 2]
    selected = sum(adjusted <= q for adjusted in benjamini_hochberg(families))
    found = selected > 0 and p <= q * selected / len(families)
    adjusted = adjusted_after_selection(families, p)
    assert (adjusted <= q) == found or adjusted == pytest.approx(q)


def test_nothing_asked_is_nothing_adjusted() -> None:
    assert benjamini_hochberg([]) == []
