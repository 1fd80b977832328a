"""Stalls: an engine that answers nobody for a while. Pure; seconds.

vLLM with Mixtral does, for 1 to 2 s, also in a launch that is warm: docs/decisions/0031.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from schema.arrivals import Arrival
from schema.cells import Workload
from schema.latencies import percentile
from schema.requests import Request

LEAST_S = 1.0
"""A silence below it is no stall: prefill of a full batch takes half of it on an H200."""
TIMES_TTFT = 2
"""Nor is one below so many times the trial's usual TTFT: long prompts take their time."""
USUAL = 0.25
"""The share of requests whose TTFT is below the usual one: half of all may have met a stall."""


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A time between two tokens of anybody. Seconds since the measured window began."""

    start_s: float
    end_s: float
    waiting: int
    """Requests that were in flight all the while."""

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


def stalls(requests: Sequence[Request]) -> tuple[Stall, ...]:
    """In their order. Requests that never got a token tell nothing of when they were given up."""
    answered = [own for own in requests if own.event_s]
    if not answered:
        return ()
    usual = percentile(sorted(own.event_s[0] - own.sent_s for own in answered), USUAL)
    least = max(LEAST_S, TIMES_TTFT * usual)
    first = min(own.sent_s for own in answered)
    tokens = sorted(at for own in answered for at in own.event_s)
    silences = [ends for ends in pairwise([first, *tokens]) if ends[1] - ends[0] >= least]
    found = (_stall(answered, *ends) for ends in silences)
    return tuple(own for own in found if own.duration_s >= least)


def _stall(answered: Sequence[Request], start_s: float, end_s: float) -> Stall:
    """From when somebody waited: a silence in which nobody had asked is none."""
    sent = [own.sent_s for own in answered if own.sent_s < end_s <= own.event_s[-1]]
    start_s = max(start_s, min(sent))
    return Stall(start_s=start_s, end_s=end_s, waiting=sum(at <= start_s for at in sent))


def stall_measurements(
    requests: Sequence[Request], workload: Workload, duration_s: float, output_throughput: float
) -> dict[str, float]:
    """`stall_time` (s) and `steady_throughput` (tok/s).

    The second not of an open loop: what it sends does not wait for the engine, which makes up
    afterwards for a stall.
    """
    stalled = sum(own.duration_s for own in stalls(requests))
    values = {"stall_time": stalled}
    if workload.arrival is not Arrival.OPEN_LOOP and stalled < duration_s:
        values["steady_throughput"] = output_throughput / (1 - stalled / duration_s)
    return values
