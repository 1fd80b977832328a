"""When an engine answered nobody, and what that means for its throughput."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.cells import Workload
from schema.requests import Request
from schema.stalls import LEAST_S, Stall, stall_measurements, stalls


def request(index: int, sent_s: float, *event_s: float) -> Request:
    return Request(
        index=index,
        scheduled_s=sent_s,
        sent_s=sent_s,
        input_tokens=8,
        output_tokens=len(event_s),
        event_s=event_s,
        event_tokens=tuple(range(1, len(event_s) + 1)),
    )


def workload(**asked: Any) -> Workload:
    usual = {"name": "any", "requests": 4, "input_tokens": 8, "output_tokens": 4}
    return Workload.model_validate(usual | asked)


CLOSED = workload(arrival="closed-loop", concurrency=2)
OFFLINE = workload(arrival="offline")
OPEN = workload(arrival="open-loop", rate=2.0)


def test_a_stall_is_a_second_in_which_nobody_got_a_token() -> None:
    seen = [request(0, 0.0, 0.1, 0.2, 1.7, 1.8), request(1, 0.0, 0.1, 0.3, 1.6)]
    assert stalls(seen) == (Stall(start_s=0.3, end_s=1.6, waiting=2),)


def test_who_waits_for_a_first_token_is_stalled_too() -> None:
    seen = [request(0, 0.0, 0.1), request(1, 0.0, 0.1), request(2, 0.2, 1.5), request(3, 0.3, 1.6)]
    found = stalls([*seen, *(request(index, 0.0, 0.1) for index in range(4, 7))])
    assert found == (Stall(start_s=0.2, end_s=1.5, waiting=1),)


def test_a_lone_slow_stream_is_no_stall_of_the_engine() -> None:
    slow = request(0, 0.0, 0.1, 2.5)
    assert stalls([slow, request(1, 0.0, *(0.1 * step for step in range(1, 26)))]) == ()


def test_nobody_is_stalled_while_nobody_asks() -> None:
    assert stalls([request(0, 0.0, 0.1, 0.2), request(1, 5.0, 5.1, 5.2)]) == ()


def test_prompts_that_always_take_their_second_stall_nothing() -> None:
    seen = [request(at, 2.0 * at, 2.0 * at + 1.4, 2.0 * at + 1.5) for at in range(4)]
    assert stalls(seen) == ()


def test_a_trial_in_which_most_requests_met_a_stall_still_has_it() -> None:
    stalled = [request(at, 0.3, 1.8, 1.9) for at in range(2, 7)]
    seen = [*stalled, *(request(at, 0.0, 0.1, 0.3) for at in (0, 1, 7))]
    assert stalls(seen) == (Stall(start_s=0.3, end_s=1.8, waiting=5),)


def test_requests_that_were_never_answered_do_not_tell_when_they_were_given_up() -> None:
    given_up = request(1, 0.0).model_copy(update={"error": "ReadTimeout"})
    assert stalls([request(0, 0.0, 0.1, 0.2), given_up]) == ()
    assert stalls([given_up]) == ()


@pytest.mark.parametrize("load", [CLOSED, OFFLINE])
def test_throughput_outside_of_stalls_counts_the_other_seconds_only(load: Workload) -> None:
    seen = [request(0, 0.0, 0.1, 0.2, 2.2, 2.4), request(1, 0.0, 0.1, 0.2, 2.2, 2.4)]
    found = stall_measurements(seen, load, 4.0, output_throughput=2.0)
    assert found == pytest.approx({"stall_time": 2.0, "steady_throughput": 4.0})


def test_an_open_loop_makes_up_for_a_stall_and_has_no_throughput_outside_of_it() -> None:
    seen = [request(0, 0.0, 0.1, 0.2, 2.2, 2.4)]
    assert stall_measurements(seen, OPEN, 4.0, 1.0) == pytest.approx({"stall_time": 2.0})


def test_a_window_that_is_one_stall_has_no_throughput_outside_of_it() -> None:
    seen = [request(0, 0.0, 0.0, 2.0)]
    assert stall_measurements(seen, CLOSED, 2.0, 1.0) == {"stall_time": 2.0}


answers = st.lists(st.floats(0.01, 3.0), min_size=1, max_size=6)


@given(st.lists(st.tuples(st.floats(0, 10), answers), min_size=1, max_size=8))
def test_stalls_never_overlap_and_hold_no_token(given_: list[tuple[float, list[float]]]) -> None:
    seen = []
    for index, (sent, gaps) in enumerate(given_):
        events = [sent + sum(gaps[: at + 1]) for at in range(len(gaps))]
        seen.append(request(index, sent, *events))
    tokens = [at for own in seen for at in own.event_s]
    found = stalls(seen)
    assert all(before.end_s <= after.start_s for before, after in pairwise(found))
    for own in found:
        assert own.duration_s >= LEAST_S
        assert own.waiting >= 1
        assert not any(own.start_s < at < own.end_s for at in tokens)
