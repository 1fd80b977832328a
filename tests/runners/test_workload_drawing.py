"""Drawing a workload."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.errors import BadRequestFile
from runners.load import wire
from runners.workload import (
    FIRST_TOKEN,
    MOST_IN_FLIGHT,
    Draft,
    draw,
    warm_up,
    warm_up_requests,
)
from schema.arrivals import Arrival
from schema.cells import Cell, Engine, Workload
from schema.lengths import AnyLengths, Lengths, Uniform

CellMaker = Callable[..., Cell]
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def workload(lengths: AnyLengths, *, requests: int) -> Workload:
    return Workload(
        name="any",
        arrival=Arrival.OFFLINE,
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


def firsts(drafts: Sequence[Draft]) -> list[int]:
    return [draft.prompt[0] for draft in drafts]


@given(
    seed=st.integers(0, 10**6),
    window=st.integers(0, 11),
    vocabulary=st.integers(FIRST_TOKEN + 2, 1024),
    length=st.integers(1, 40),
    requests=st.integers(1, 60),
)
@few
def test_a_warm_up_shares_no_first_token_with_what_is_measured(
    make_cell: CellMaker, seed: int, window: int, vocabulary: int, length: int, requests: int
) -> None:
    """Without its first token no longer prefix can be shared, however engines cut it into blocks.

    Nor does the vocabulary have to be larger than the number of requests.
    """
    lengths = Lengths(mean=length, sigma=0.5, longest=64)
    asked = make_cell(input_tokens=lengths, requests=requests).workload
    measured = draw(asked, seed=seed, vocabulary=vocabulary)
    warming = warm_up(asked, measured, seed=seed, window=window, vocabulary=vocabulary)
    assert not set(firsts(measured)) & set(firsts(warming))
    assert all(FIRST_TOKEN <= token < vocabulary for d in warming for token in d.prompt)


@given(seed=st.integers(0, 10**6), window=st.integers(0, 11))
@few
def test_a_warm_up_is_as_long_as_what_is_measured(
    make_cell: CellMaker, seed: int, window: int
) -> None:
    asked = make_cell(input_tokens=Lengths(mean=40, sigma=0.8, longest=300)).workload
    measured = draw(asked, seed=seed, vocabulary=1024)
    warming = warm_up(asked, measured, seed=seed, window=window, vocabulary=1024)
    known = {(len(draft.prompt), draft.output_tokens) for draft in measured}
    assert {(len(draft.prompt), draft.output_tokens) for draft in warming} <= known


@given(seed=st.integers(0, 10**6))
@few
def test_two_warm_up_windows_share_no_prompt(make_cell: CellMaker, seed: int) -> None:
    asked = make_cell().workload
    measured = draw(asked, seed=seed, vocabulary=1024)
    one, other = (
        {d.prompt for d in warm_up(asked, measured, seed=seed, window=each, vocabulary=1024)}
        for each in (0, 1)
    )
    assert not one & other


def test_a_warm_up_that_cannot_differ_is_refused(make_cell: CellMaker) -> None:
    """Every token of the vocabulary begins a measured prompt, as only words from a file can."""
    drafts = [Draft(index=at, scheduled_s=0.0, prompt=(at,), output_tokens=1) for at in range(64)]
    with pytest.raises(BadRequestFile, match="every token that a warm-up could begin with"):
        warm_up(make_cell().workload, drafts, seed=0, window=0, vocabulary=64)


@given(seed=st.integers(0, 10**6), requests=st.integers(1, 500))
@few
def test_no_two_prompts_of_a_window_begin_alike_while_there_are_tokens(
    make_cell: CellMaker, seed: int, requests: int
) -> None:
    drafts = draw(make_cell(requests=requests).workload, seed=seed, vocabulary=1024)
    assert len(set(firsts(drafts))) == requests  # (1024 - 10) / 2 = 507 may begin a prompt


def test_the_workloads_of_a_launch_have_prompts_of_their_own(make_cell: CellMaker) -> None:
    ours, theirs = (
        draw(make_cell(name=name).workload, seed=0, vocabulary=1024) for name in ("one", "two")
    )
    assert not {d.prompt for d in ours} & {d.prompt for d in theirs}


@given(seed=st.integers(0, 10**6))
@few
def test_every_engine_is_sent_the_same_bytes(make_cell: CellMaker, seed: int) -> None:
    lengths = Lengths(mean=20, sigma=0.4, longest=99)
    bodies = []
    for engine in Engine:
        cell = make_cell(family={"engine": engine}, output_tokens=lengths)
        drafts = draw(cell.workload, seed=seed, vocabulary=cell.family.model.vocabulary)
        sent = [wire.request("h", engine, d.prompt, d.output_tokens) for d in drafts]
        named = [one.partition(wire.HEAD_END)[2] for one in sent]
        bodies.append([body.replace(f'"model": "{engine}"'.encode(), b"") for body in named])
    assert bodies[0] == bodies[1]


def test_a_draw_is_the_same_on_every_platform_and_python(make_cell: CellMaker) -> None:
    """Pinned: whoever changes what a seed draws starts every series anew, and should know it."""
    cell = make_cell(input_tokens=Lengths(mean=40, sigma=0.8, longest=300))
    gamma = {"arrival": Arrival.OPEN_LOOP, "rate": 2.0, "pattern": "gamma", "burstiness": 0.5}
    drawn = [
        draw(workload, seed=1, vocabulary=32_000)
        for workload in (cell.workload, make_cell(**gamma).workload)
    ]
    text = repr([[(round(d.scheduled_s, 9), d.prompt, d.output_tokens) for d in w] for w in drawn])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "8bb5a1cd5da81c98"


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
    drafts = draw(asked, seed=0, vocabulary=1024)
    assert len(warm_up(asked, drafts, seed=0, window=0, vocabulary=1024)) == expected


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


@given(shortest=st.integers(1, 50), more=st.integers(0, 50), seed=st.integers(0, 10**6))
@few
def test_ranged_lengths_stay_within_their_range(shortest: int, more: int, seed: int) -> None:
    asked = workload(Uniform(shortest=shortest, longest=shortest + more), requests=100)
    lengths = [len(draft.prompt) for draft in draw(asked, seed=seed, vocabulary=64)]
    assert shortest <= min(lengths) <= max(lengths) <= shortest + more


def test_ranged_lengths_are_all_as_likely() -> None:
    asked = workload(Uniform(shortest=3, longest=6), requests=4000)
    lengths = Counter(len(draft.prompt) for draft in draw(asked, seed=5, vocabulary=64))
    assert sorted(lengths) == [3, 4, 5, 6]
    assert all(count == pytest.approx(1000, abs=5 * 27.4) for count in lengths.values())


def test_prompts_contain_no_special_token(make_cell: CellMaker) -> None:
    drafts = draw(make_cell(requests=200).workload, seed=1, vocabulary=64)
    assert {token for d in drafts for token in d.prompt} == set(range(FIRST_TOKEN, 64))
