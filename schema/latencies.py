"""From requests to latencies. Pure; seconds; nothing is invented where data are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from schema.requests import Request


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Observations of one window, seconds."""

    ttft: tuple[float, ...]
    """Sent until first token, one a request."""
    itl: tuple[float, ...]
    """Gap between successive tokens, pooled; an event of k tokens gives k gaps of 1/k."""
    tpot: tuple[float, ...]
    """Mean time per token after the first, one a request of two tokens or more."""
    e2e: tuple[float, ...]
    """Scheduled until last token, one a request: waiting to be sent counts."""


def gaps(request: Request) -> list[float]:
    """Gaps between successive tokens of one request, s."""
    found: list[float] = []
    stamps = list(zip(request.event_s, request.event_tokens, strict=True))
    for (before, had), (after, has) in pairwise(stamps):
        if has > had:
            found += [(after - before) / (has - had)] * (has - had)
    return found


def latencies(requests: Sequence[Request]) -> Latencies:
    """Of the requests that were answered and did not fail."""
    good = [request for request in requests if request.error is None and request.event_s]
    several = [request for request in good if request.output_tokens > request.event_tokens[0]]
    return Latencies(
        ttft=tuple(r.event_s[0] - r.sent_s for r in good),
        itl=tuple(gap for r in good for gap in gaps(r)),
        tpot=tuple(
            (r.event_s[-1] - r.event_s[0]) / (r.output_tokens - r.event_tokens[0]) for r in several
        ),
        e2e=tuple(r.event_s[-1] - r.scheduled_s for r in good),
    )


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics (Hyndman & Fan 1996, type 7)."""
    place = share * (len(sorted_values) - 1)
    low = int(place)
    high = min(low + 1, len(sorted_values) - 1)
    return sorted_values[low] + (sorted_values[high] - sorted_values[low]) * (place - low)
