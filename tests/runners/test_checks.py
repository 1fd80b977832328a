"""Checks: each fails exactly when it should."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runners.checks import GPU_LAG_S, LAG_S, Evidence, check, reason
from runners.engines.counters import Counters
from runners.load.client import Window
from runners.workload import Draft
from schema.cells import Gpu
from schema.requests import Request

COUNTED = Counters(
    requests=100,
    prompt_tokens=300,
    output_tokens=400,
    cached_tokens=0,
    preemptions=0,
    ttft_s=100 * 0.2,
    ttft_count=100,
    itl_s=300 * 0.1,
    itl_count=300,
)
"""What 100 of `request` look like from inside: a TTFT of 0.2 s, gaps of 0.1 s."""


BY_CLOCK = {"kernel_stamps": False}


def request(index: int, **changes: Any) -> Request:
    usual: dict[str, Any] = {
        "index": index,
        "scheduled_s": 0.0,
        "sent_s": 0.0,
        "input_tokens": 3,
        "output_tokens": 4,
        "event_s": (0.2, 0.3, 0.4, 0.5),
        "event_tokens": (1, 2, 3, 4),
    }
    return Request(**usual | changes)


def broken(index: int) -> Request:
    return request(index, error="HTTP 500: no", event_s=(), event_tokens=(), output_tokens=0)


def evidence(
    changed: dict[int, Request] | None = None,
    *,
    lag_s: tuple[float, ...] = (0.0,),
    sent: int = 100,
    window: dict[str, Any] | None = None,
    **changes: Any,
) -> Evidence:
    """100 good requests on an H100, some of them changed."""
    requests = {index: request(index) for index in range(sent)} | (changed or {})
    sound = Evidence(
        drafts=[
            Draft(index=index, scheduled_s=0.0, prompt=(11, 12, 13), output_tokens=4)
            for index in range(100)
        ],
        window=Window(
            **{
                "requests": tuple(requests.values()),
                "duration_s": 1.0,
                "lag_s": (lag_s,),
                "late_s": (),
            }
            | (window or {})
        ),
        engine=COUNTED,
        gpu=Gpu.H100,
        throttle_reasons=0,
        unwatched=None,
        foreign_cpu=None,
        warm=True,
    )
    return replace(sound, **changes)


def failed(seen: Evidence) -> list[str]:
    return [one.name for one in check(seen) if not one.passed]


def test_a_sound_window_passes_every_check() -> None:
    found = check(evidence())
    assert reason(found) is None
    assert [one.name for one in found] == [
        *("failed_requests", "token_counts", "prefix_cache_hits", "warm", "engine_requests"),
        *("engine_prompt_tokens", "engine_tokens", "client_lag_p99", "merged_reads"),
        *("clock_moved", "throttled", "ttft_agrees", "itl_agrees"),
    ]


Case = tuple[Callable[[], Evidence], str]
FAULTS: dict[str, Case] = {
    "two of a hundred failed": (lambda: evidence({1: broken(1), 2: broken(2)}), "failed_requests"),
    "two of a hundred were never sent": (lambda: evidence(sent=98), "failed_requests"),
    "an answer was short": (
        lambda: evidence(
            {5: request(5, output_tokens=3)}, engine=replace(COUNTED, output_tokens=399)
        ),
        "token_counts",
    ),
    "a prompt was cut": (
        lambda: evidence(
            {5: request(5, input_tokens=2)}, engine=replace(COUNTED, prompt_tokens=299)
        ),
        "token_counts",
    ),
    "the prefix cache helped": (
        lambda: evidence(engine=replace(COUNTED, cached_tokens=1)),
        "prefix_cache_hits",
    ),
    "warm-up windows disagreed": (lambda: evidence(warm=False), "warm"),
    "the client was late": (lambda: evidence(lag_s=(1.1 * GPU_LAG_S,)), "client_lag_p99"),
    "events were read together": (lambda: evidence(window={"merged": 2}), "merged_reads"),
    "requests were sent late": (
        lambda: evidence(window={"late_s": (1.1 * GPU_LAG_S,)}),
        "late_sends_p99",
    ),
    "the clock was set": (lambda: evidence(window={"clock_moved_s": -0.5}), "clock_moved"),
    "the engine served somebody else": (
        lambda: evidence(engine=replace(COUNTED, requests=101)),
        "engine_requests",
    ),
    "the engine read other prompts": (
        lambda: evidence(engine=replace(COUNTED, prompt_tokens=299)),
        "engine_prompt_tokens",
    ),
    "the engine made more tokens": (
        lambda: evidence(engine=replace(COUNTED, output_tokens=401)),
        "engine_tokens",
    ),
    "telemetry ended": (
        lambda: evidence(unwatched="the telemetry process ended with exit code 3"),
        "throttled",
    ),
    "the card was hot": (lambda: evidence(throttle_reasons=0x40), "throttled"),
    "TTFT is 4 % above the engine's, and only our clock says so": (
        lambda: evidence(engine=replace(COUNTED, ttft_s=100 * 0.192), window=BY_CLOCK),
        "ttft_agrees",
    ),
    "ITL is 4 % above the engine's, and only our clock says so": (
        lambda: evidence(engine=replace(COUNTED, itl_s=300 * 0.096), window=BY_CLOCK),
        "itl_agrees",
    ),
    "TTFT is 4 % below the engine's": (
        lambda: evidence(engine=replace(COUNTED, ttft_s=100 * 0.209)),
        "ttft_agrees",
    ),
    "ITL is 4 % below the engine's": (
        lambda: evidence(engine=replace(COUNTED, itl_s=300 * 0.1045)),
        "itl_agrees",
    ),
    "others used the processor": (
        lambda: evidence(gpu=Gpu.CPU, foreign_cpu=0.26),
        "foreign_cpu",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_fails_one_check_which_says_what_was_seen(fault: str) -> None:
    make, name = FAULTS[fault]
    found = check(make())
    assert failed(make()) == [name]
    why = reason(found)
    assert why is not None
    assert why.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "tolerable",
    [
        lambda: evidence({1: broken(1)}),  # 1 of 100
        lambda: evidence(sent=99),
        lambda: evidence(engine=replace(COUNTED, ttft_s=100 * 0.196), window=BY_CLOCK),  # 2 % off
        lambda: evidence(engine=replace(COUNTED, ttft_s=100 * 0.1)),  # the front end took as long
        lambda: evidence(engine=replace(COUNTED, itl_s=300 * 0.05)),
        lambda: evidence(engine=replace(COUNTED, itl_s=300 * 0.098)),
        lambda: evidence(lag_s=(0.9 * GPU_LAG_S,)),
        lambda: evidence(gpu=Gpu.CPU, lag_s=(0.9 * LAG_S[Gpu.CPU],)),  # a CPU host shares its cores
        lambda: evidence(gpu=Gpu.CPU, window={"merged": 20}),
        lambda: evidence(window={"merged": 0, "late_s": (0.9 * GPU_LAG_S,)}),
        lambda: evidence(window={"kernel_stamps": False, "clock_moved_s": 9.0}),
        lambda: evidence(gpu=Gpu.CPU, foreign_cpu=0.25),
        lambda: evidence(foreign_cpu=0.9),  # GPU hosts have cores to spare
        lambda: evidence({1: broken(1)}, engine=replace(COUNTED, requests=99)),
        lambda: evidence({1: broken(1)}, engine=replace(COUNTED, requests=101, output_tokens=401)),
        lambda: evidence(engine=replace(COUNTED, requests=None, prompt_tokens=None)),
        lambda: evidence(throttle_reasons=None),  # the card cannot tell
        lambda: evidence(gpu=Gpu.CPU, unwatched="no reading of cpu for 4.0 s"),
    ],
)
def test_what_is_tolerable_passes(tolerable: Callable[[], Evidence]) -> None:
    assert failed(tolerable()) == []


def test_several_faults_are_told_together() -> None:
    found = check(evidence(warm=False, throttle_reasons=0x8))
    assert reason(found) == (
        "warm: no two successive warm-up windows agreed; "
        "throttled: the GPU was slowed down, NVML clock event reasons 0x8"
    )


def test_a_reason_reads_in_the_units_of_people() -> None:
    found = check(evidence({1: broken(1), 2: broken(2)}, gpu=Gpu.CPU, lag_s=(0.0118,)))
    told = reason(found) or ""
    assert "2 of 100 requests failed" in told
    assert ": 2.0%, limit 1.0%" in told
    assert told.endswith("client_lag_p99: a process read late: 11.8 ms, limit 10 ms")


def test_an_engine_without_a_counter_is_not_compared_with_it() -> None:
    silent = replace(COUNTED, ttft_s=None, itl_count=None, requests=None)
    names = [one.name for one in check(evidence(engine=silent))]
    assert not {"ttft_agrees", "itl_agrees", "engine_requests"} & set(names)


def test_a_check_keeps_what_was_observed_and_its_limit() -> None:
    lag = next(one for one in check(evidence(lag_s=(0.03,))) if one.name == "client_lag_p99")
    assert (lag.observed, lag.limit, lag.unit) == (0.03, GPU_LAG_S, "s")


def test_why_a_card_was_not_watched_is_told() -> None:
    died = "the telemetry process ended with exit code -9"
    found = check(evidence(throttle_reasons=None, unwatched=died))
    assert reason(found) == f"throttled: whether the GPU was slowed down is not known: {died}"
    throttled = next(one for one in found if one.name == "throttled")
    assert throttled.observed is None


def test_counts_that_differ_are_told_from_both_sides() -> None:
    found = check(evidence(engine=replace(COUNTED, output_tokens=397)))
    assert reason(found) == (
        "engine_tokens: the client counted 400, the engine 397; they differ by: 3 tok, limit 0 tok"
    )
