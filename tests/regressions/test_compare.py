"""A comparison is relative, the same from both sides, and warns of what it cannot see."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regressions.compare import side
from regressions.sentences import percent
from schema.judgements import Comparison

Sides = Callable[..., Comparison]
samples = st.lists(st.integers(100, 10_000), min_size=3, max_size=7)
same_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes(comparison: Comparison) -> list[str]:
    return [warning.code for warning in comparison.warnings]


@same_fixture
@given(samples, samples)
def test_swapping_the_sides_keeps_p_and_inverts_the_change(
    sides: Sides, baseline: list[float], contender: list[float]
) -> None:
    there, back = sides(baseline, contender), sides(contender, baseline)
    assert back.p == there.p
    assert there.change is not None
    assert back.change is not None
    assert (1 + there.change) * (1 + back.change) == pytest.approx(1)


@same_fixture
@given(samples, samples, st.sampled_from([0.001, 1024.0]))
def test_the_unit_changes_nothing(
    sides: Sides, baseline: list[float], contender: list[float], unit: float
) -> None:
    plain = sides(baseline, contender)
    scaled = sides([x * unit for x in baseline], [x * unit for x in contender])
    assert scaled.p == plain.p
    assert scaled.change == pytest.approx(plain.change)
    assert scaled.interval == (plain.interval and pytest.approx(plain.interval))


@same_fixture
@given(samples, samples)
def test_the_interval_contains_the_change(
    sides: Sides, baseline: list[float], contender: list[float]
) -> None:
    found = sides(baseline, contender)
    if found.interval is not None and found.change is not None:
        assert found.interval[0] <= found.change <= found.interval[1]


def test_the_change_is_relative_to_the_baseline(sides: Sides) -> None:
    found = sides([1.00, 1.01, 0.99, 1.0, 1.0], [1.10, 1.11, 1.09, 1.10, 1.10])
    assert found.change == pytest.approx(0.10, abs=1e-9)
    assert found.p == pytest.approx(2 / 252)
    assert found.confidence == pytest.approx(1 - 8 / 252)
    assert codes(found) == []


def test_values_that_are_not_all_positive_are_compared_in_units_of_the_baselines_median(
    sides: Sides,
) -> None:
    assert sides([2, 2, 2, 2, 0], [1, 1, 1, 1, 1], "goodput").change == pytest.approx(-0.5)
    assert sides([0] * 5, [0] * 5, "goodput").change == 0
    from_nothing = sides([0, 0, 0, 0, 0], [1, 1, 1, 1, 2], "goodput")
    assert from_nothing.change is None
    assert from_nothing.p is not None
    assert "not-estimable" in codes(from_nothing)


@pytest.mark.parametrize(
    ("baseline", "contender", "metric", "expected"),
    [
        ([1.0, 1.01, 1.02], [1.1, 1.11, 1.12], "itl_p50", ["few-trials"]),
        ([1.0, 1.3, 0.8, 1.1, 0.9], [1.0, 1.2, 0.7, 1.1, 0.95], "itl_p50", ["wide-interval"]),
        ([1.0] * 5, [1.0] * 5, "itl_p50", ["identical"]),
        ([1.0] * 5, [1.0] * 5, "weight_memory", []),  # as it should be
        ([1.0] * 2, [2.0] * 2, "weight_memory", []),  # needs no test
        ([1.0] * 5, [], "itl_p50", ["not-estimable"]),
        ([], [], "itl_p50", ["not-estimable"] * 2),
    ],
)
def test_warnings_travel_with_the_comparison(
    sides: Sides, baseline: list[float], contender: list[float], metric: str, expected: list[str]
) -> None:
    assert codes(sides(baseline, contender, metric)) == expected


def test_few_trials_say_how_many_would_do(sides: Sides) -> None:
    found = sides([1.0, 1.01, 1.02], [1.1, 1.11, 1.12])
    expected = "least reachable p is 0.10 with 3 v 3 trials; alpha 0.01 needs 5 v 5"
    assert found.warnings[0].text == expected
    assert found.interval is None


def test_a_wide_interval_says_what_would_have_been_seen(sides: Sides) -> None:
    found = sides([1.0, 1.3, 0.8, 1.1, 0.9], [1.0, 1.2, 0.7, 1.1, 0.95])
    assert "or more would have been seen, 3 % matters" in found.warnings[0].text


def test_a_side_names_its_builds_once_with_the_latest_last() -> None:
    one = side(["a", "b", "a"], ["1", "2", "3"], [3.0, 1.0, 2.0])
    assert one.builds == ("b", "a")
    assert one.median == 2
    assert side([], [], []).median is None


@pytest.mark.parametrize(
    ("change", "text"), [(0.1234, "+12.3 %"), (-0.05, "-5.0 %"), (-0.0001, "+0.0 %")]
)
def test_changes_read_with_their_sign(change: float, text: str) -> None:
    assert percent(change) == text
