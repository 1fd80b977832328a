"""When requests are sent."""

import math
import random
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.arrivals import arrivals
from schema.arrivals import Arrival, Pattern, Ramp, RampShape
from schema.cells import Workload
from schema.lengths import Lengths

ONE = Lengths(mean=1, longest=1)
few = settings(max_examples=25, deadline=None)
rates = st.floats(0.1, 500)
seeds = st.integers(0, 10**6)


def times(seed: int = 0, requests: int = 2000, **asked: Any) -> list[float]:
    usual: dict[str, Any] = {"arrival": Arrival.OPEN_LOOP, "rate": 1.0}
    workload = Workload(
        name="any", requests=requests, input_tokens=ONE, output_tokens=ONE, **usual | asked
    )
    return arrivals(workload, random.Random(seed))


def gaps(drawn: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(drawn)]


@given(rate=rates, seed=seeds)
@few
def test_poisson_arrivals_come_at_exactly_the_asked_rate(rate: float, seed: int) -> None:
    drawn = times(seed, rate=rate)
    assert drawn[0] == 0
    assert fmean(gaps(drawn)) * rate == pytest.approx(1)  # whatever was drawn
    # of exponential gaps, the share 1/e is longer than the mean
    longer = fmean(gap * rate > 1 for gap in gaps(drawn))
    assert longer == pytest.approx(math.exp(-1), abs=5 * 0.49 / math.sqrt(len(drawn)))


@given(rate=rates, burstiness=st.floats(0.1, 20), seed=seeds)
@few
def test_gamma_arrivals_keep_the_rate_and_vary_by_their_burstiness(
    rate: float, burstiness: float, seed: int
) -> None:
    drawn = gaps(times(seed, rate=rate, pattern=Pattern.GAMMA, burstiness=burstiness))
    assert fmean(drawn) * rate == pytest.approx(1)
    # the coefficient of variation of gamma gaps is 1/sqrt(shape)
    assert pstdev(drawn) * rate == pytest.approx(1 / math.sqrt(burstiness), rel=0.35)


@given(rate=rates, seed=seeds)
@few
def test_constant_arrivals_have_equal_gaps(rate: float, seed: int) -> None:
    assert gaps(times(seed, requests=50, rate=rate, pattern=Pattern.CONSTANT)) == pytest.approx(
        [1 / rate] * 49
    )


@given(
    rate=st.floats(0.5, 50),
    factor=st.floats(0.1, 10).filter(lambda factor: abs(factor - 1) > 0.01),
    shape=st.sampled_from(RampShape),
    pattern=st.sampled_from([Pattern.POISSON, Pattern.CONSTANT]),
)
@few
def test_a_ramp_lasts_as_long_as_its_mean_rate_says(
    rate: float, factor: float, shape: RampShape, pattern: Pattern
) -> None:
    to = rate * factor
    drawn = times(requests=500, rate=rate, pattern=pattern, ramp=Ramp(to=to, shape=shape))
    mean = (rate + to) / 2 if shape is RampShape.LINEAR else (to - rate) / math.log(to / rate)
    assert drawn[0] == 0
    assert drawn == sorted(drawn)
    assert drawn[-1] == pytest.approx(499 / mean)


@pytest.mark.parametrize(
    ("shape", "at_half"), [(RampShape.LINEAR, 5.0), (RampShape.EXPONENTIAL, 3.0)]
)
def test_a_ramp_goes_through_its_rates(shape: RampShape, at_half: float) -> None:
    """From 1 to 9 requests per second: 5 at half time, or 3 where factors are equal."""
    ramp = Ramp(to=9.0, shape=shape)
    drawn = times(requests=4001, pattern=Pattern.CONSTANT, ramp=ramp)
    seen = gaps(drawn)
    half = next(at for at, time in enumerate(drawn) if time > drawn[-1] / 2)
    assert 1 / seen[0] == pytest.approx(1.0, rel=0.01)
    assert 1 / seen[half] == pytest.approx(at_half, rel=0.01)
    assert 1 / seen[-1] == pytest.approx(9.0, rel=0.01)


def test_recorded_times_keep_their_gaps_and_are_sped_up() -> None:
    workload = Workload(
        name="any",
        arrival=Arrival.OPEN_LOOP,
        pattern=Pattern.RECORDED,
        speed_up=4,
        requests=3,
        file={"path": "any.csv", "sha256": "0" * 64},  # type: ignore[arg-type]
        input_tokens={"longest": 9},  # type: ignore[arg-type]
        output_tokens={"longest": 9},  # type: ignore[arg-type]
    )
    assert arrivals(workload, random.Random(0), [100.0, 100.0, 108.0]) == [0.0, 0.0, 2.0]


@pytest.mark.parametrize("arrival", [Arrival.OFFLINE, Arrival.CLOSED_LOOP])
def test_without_an_open_loop_nothing_is_scheduled(arrival: Arrival) -> None:
    width = 2 if arrival is Arrival.CLOSED_LOOP else None
    assert times(requests=3, rate=None, arrival=arrival, concurrency=width) == [0.0] * 3


def test_one_request_is_sent_at_once() -> None:
    assert times(requests=1, ramp=Ramp(to=2)) == [0.0]
