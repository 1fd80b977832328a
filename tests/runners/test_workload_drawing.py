"""Drawing a workload."""

import math
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.workload import FIRST_TOKEN, MOST_IN_FLIGHT, draw, warm_up, warm_up_requests
from schema.cells import Arrival, Cell, Lengths, Workload

CellMaker = Callable[..., Cell]
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def workload(lengths: Lengths, *, requests: int, rate: float | None = None) -> Workload:
    return Workload(
        name="any",
        arrival=Arrival.OFFLINE if rate is None else Arrival.OPEN_LOOP,
        rate=rate,
        requests=requests,
        input_tokens=lengths,
        output_tokens=Lengths(mean=1, longest=1),
    )


@given(seed=st.integers(0, 10**6))
@few
def test_the_same_seed_draws_the_same_bytes(make_cell: CellMaker, seed: int) -> None:
    asked = make_cell(output_tokens=Lengths(mean=20, sigma=0.4, longest=99)).workload
    once, again = (repr(draw(asked, seed=seed, vocabulary=1024)).encode() for _ in range(2))
    assert once == again


@given(seed=st.integers(0, 10**6))
@few
def test_another_replicate_draws_other_prompts(make_cell: CellMaker, seed: int) -> None:
    asked = make_cell().workload
    ours, next_ones = (draw(asked, seed=one, vocabulary=1024) for one in (seed, seed + 1))
    assert not {d.prompt for d in ours} & {d.prompt for d in next_ones}


@given(seed=st.integers(0, 10**6), window=st.integers(0, 7))
@few
def test_a_warm_up_shares_no_prompt_with_the_window_or_another(
    make_cell: CellMaker, seed: int, window: int
) -> None:
    asked = make_cell().workload
    measured = {d.prompt for d in draw(asked, seed=seed, vocabulary=1024)}
    one, other = (
        {d.prompt for d in warm_up(asked, seed=seed, window=each, vocabulary=1024)}
        for each in (window, window + 1)
    )
    assert len(measured | one | other) == len(measured) + len(one) + len(other)


@pytest.mark.parametrize(
    ("arrival", "expected"),
    [
        ({"concurrency": 4}, 8),  # never fewer than 8
        ({"concurrency": 32, "requests": 16}, 32),  # as many as may be in flight
        ({"arrival": Arrival.OFFLINE, "requests": 24}, 24),
        ({"arrival": Arrival.OFFLINE, "requests": 5000}, MOST_IN_FLIGHT),
        ({"arrival": Arrival.OPEN_LOOP, "rate": 8, "requests": 500}, 8),  # the engine decides
    ],
)
def test_a_warm_up_is_as_wide_as_the_window(
    make_cell: CellMaker, arrival: dict[str, Any], expected: int
) -> None:
    asked = make_cell(**arrival).workload
    assert warm_up_requests(asked) == expected
    assert len(warm_up(asked, seed=0, window=0, vocabulary=1024)) == expected


@given(rate=st.floats(0.1, 500), seed=st.integers(0, 10**6))
@few
def test_open_loop_arrivals_are_poisson_at_exactly_the_asked_rate(rate: float, seed: int) -> None:
    asked = workload(Lengths(mean=1, longest=1), requests=2000, rate=rate)
    times = [draft.scheduled_s for draft in draw(asked, seed=seed, vocabulary=1024)]
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] == 0
    assert fmean(gaps) * rate == pytest.approx(1)  # whatever was drawn
    # of exponential gaps, the share 1/e is longer than the mean
    longer = fmean(gap * rate > 1 for gap in gaps)
    assert longer == pytest.approx(math.exp(-1), abs=5 * 0.49 / math.sqrt(len(gaps)))


@given(mean=st.floats(50, 400), sigma=st.floats(0.05, 0.8), seed=st.integers(0, 10**6))
@few
def test_log_normal_lengths_have_the_asked_mean(mean: float, sigma: float, seed: int) -> None:
    asked = workload(Lengths(mean=mean, sigma=sigma, longest=10**6), requests=400)
    lengths = [len(draft.prompt) for draft in draw(asked, seed=seed, vocabulary=64)]
    spread = math.sqrt(math.exp(sigma**2) - 1)  # of a log-normal, relative to its mean
    assert fmean(lengths) / mean == pytest.approx(1, abs=6 * spread / math.sqrt(400) + 0.01)


@given(mean=st.floats(0.01, 30), sigma=st.floats(0, 3), seed=st.integers(0, 10**6))
@few
def test_lengths_stay_within_one_and_the_longest(mean: float, sigma: float, seed: int) -> None:
    asked = workload(Lengths(mean=mean, sigma=sigma, longest=30), requests=50)
    assert all(1 <= len(d.prompt) <= 30 for d in draw(asked, seed=seed, vocabulary=64))


def test_prompts_contain_no_special_token(make_cell: CellMaker) -> None:
    drafts = draw(make_cell(requests=200).workload, seed=1, vocabulary=64)
    assert {token for d in drafts for token in d.prompt} == set(range(FIRST_TOKEN, 64))
