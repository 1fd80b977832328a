"""The shift and its interval say how far the sides lie apart, and how sure that is."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.samples import doubled_midranks, median
from stats.shift import hodges_lehmann, interval_steps

samples = st.lists(st.integers(-1000, 1000), min_size=1, max_size=9)


@given(samples, samples)
def test_swapping_the_sides_inverts_shift_and_interval(
    baseline: list[int], contender: list[int]
) -> None:
    there = hodges_lehmann(baseline, contender, confidence=0.9)
    back = hodges_lehmann(contender, baseline, confidence=0.9)
    assert back.estimate == -there.estimate
    assert back.confidence == there.confidence
    if there.interval:
        assert back.interval == (-there.interval[1], -there.interval[0])


@given(samples, samples)
def test_the_interval_contains_the_shift_and_covers_what_was_asked(
    baseline: list[int], contender: list[int]
) -> None:
    shift = hodges_lehmann(baseline, contender, confidence=0.95)
    if shift.interval is None or shift.confidence is None:
        assert (shift.interval, shift.confidence) == (None, None)
        return
    assert shift.interval[0] <= shift.estimate <= shift.interval[1]
    assert 0.95 <= shift.confidence < 1


@given(samples, samples, st.integers(-50, 50))
def test_what_is_added_to_one_side_is_added_to_the_shift(
    baseline: list[int], contender: list[int], more: int
) -> None:
    before = hodges_lehmann(baseline, contender, confidence=0.9)
    after = hodges_lehmann(baseline, [x + more for x in contender], confidence=0.9)
    assert after.estimate == before.estimate + more


@pytest.mark.parametrize(
    ("sizes", "confidence", "expected"),
    [
        # critical values of U - 1, two-sided 5 % and 1 %: Lehmann 1975, table B
        ((5, 5), 0.95, (2, 1 - 2 * 4 / 252)),
        ((5, 5), 0.99, (0, 1 - 2 / 252)),
        ((4, 4), 0.95, (0, 1 - 2 / 70)),
        ((8, 8), 0.95, (13, 0.9501)),
        ((3, 3), 0.95, (0, None)),  # covers 0.90 at most
        ((1, 400), 0.999, (0, None)),
    ],
)
def test_interval_steps_are_those_of_the_tables(
    sizes: tuple[int, int], confidence: float, expected: tuple[int, float | None]
) -> None:
    steps, covered = interval_steps(*sizes, confidence)
    assert steps == expected[0]
    assert covered == (expected[1] and pytest.approx(expected[1], abs=1e-4))


def test_the_approximate_interval_continues_the_exact_one() -> None:
    exact, _ = interval_steps(50, 50, 0.95)
    approximate, _ = interval_steps(51, 51, 0.95)
    assert exact < approximate < exact + 60


def test_the_interval_covers_the_true_shift_as_often_as_it_says() -> None:
    draw = random.Random(4).lognormvariate
    missed = 0
    for _ in range(1000):
        baseline = [draw(0, 0.3) for _ in range(5)]
        contender = [draw(0, 0.3) + 0.5 for _ in range(5)]
        low, high = hodges_lehmann(baseline, contender, confidence=0.95).interval or (0, 0)
        missed += not low <= 0.5 <= high
    assert missed / 1000 == pytest.approx(8 / 252, abs=0.015)


def test_an_empty_side_has_no_shift() -> None:
    with pytest.raises(ValueError, match="0 and 1"):
        hodges_lehmann([], [1.0], confidence=0.9)
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_tied_values_share_the_middle_of_their_ranks() -> None:
    assert doubled_midranks([7, 5, 7, 9]).tolist() == [5, 2, 5, 8]
    assert median([3, 1, 2]) == 2
    assert median([1, 2]) == 1.5
