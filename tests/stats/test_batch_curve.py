"""What a doubling of the batch gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.batch_curve import bend, experts_read, steps


def test_a_doubling_that_doubles_gains_two_and_one_that_changes_nothing_gains_one() -> None:
    assert [step.gain for step in steps({1: 100.0, 8: 800.0, 32: 800.0})] == pytest.approx([2, 1])


@given(st.floats(0.1, 1.0), st.floats(1.0, 1e4))
def test_a_power_law_gains_the_same_in_every_step(power: float, start: float) -> None:
    curve = {batch: start * batch**power for batch in (1, 3, 8, 100)}
    assert [step.gain for step in steps(curve)] == pytest.approx([2**power] * 3)


def test_the_bend_is_where_a_doubling_gains_least() -> None:
    found = bend({128: 900.0, 1: 100.0, 8: 700.0, 32: 850.0})
    assert found is not None
    assert (found.low, found.high) == (32, 128)


def test_two_batches_have_no_bend() -> None:
    assert bend({1: 100.0, 8: 200.0}) is None


def test_experts_that_are_read_are_those_that_tokens_choose() -> None:
    random = np.random.default_rng(3)
    drawn = [
        len({int(e) for _ in range(8) for e in random.choice(8, 2, replace=False)})
        for _ in range(4_000)
    ]
    assert experts_read(8, 2, 8) == pytest.approx(np.mean(drawn), abs=0.05)
    assert experts_read(8, 2, 1) == 2
    assert experts_read(1, 1, 32) == 1
