"""What the requests of one trial say beyond its metrics. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from schema.latencies import latencies, percentile
from schema.requests import Request, Requests
from stats.samples import median

PARTS = 4
"""A window is cut into so many parts of equally many requests."""
LEAST_REQUESTS = 2
"""In a part."""
LOW, HIGH = 0.1, 0.9
"""Shares of the gaps below the ends of ITL."""


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Where the gaps between tokens lie between their ends, P10 and P90."""

    low: float
    """P10 of ITL, s."""
    high: float
    """P90, s."""
    slow: float
    """Share of all gaps above the middle of both."""
    between: float
    """Share of all gaps in the middle third: a quarter or more of one hump, nearly none of two."""


@dataclass(frozen=True, kw_only=True)
class Within:
    """Of one trial."""

    itl_mean: float
    """Mean of all gaps between tokens, s."""
    ends: Ends
    parts: Mapping[str, Sequence[float]]
    """By metric: its value in each part of the window, s. Empty where there are too few
    requests."""


def within(sent: Requests) -> Within | None:
    """None when no request was kept, or none had two tokens."""
    seen = latencies(sent)
    if not seen.itl:
        return None
    return Within(itl_mean=fmean(seen.itl), ends=_ends(sorted(seen.itl)), parts=_parts(sent))


def _ends(itl: Sequence[float]) -> Ends:
    """Of gaps in ascending order."""
    low, high = (percentile(itl, share) for share in (LOW, HIGH))
    thirds = [low + (high - low) * part for part in (1 / 3, 1 / 2, 2 / 3)]
    first, middle, second = (bisect_right(itl, one) for one in thirds)
    return Ends(
        low=low,
        high=high,
        slow=1 - middle / len(itl),
        between=(second - first) / len(itl),
    )


def _parts(sent: Sequence[Request]) -> dict[str, list[float]]:
    if len(sent) < PARTS * LEAST_REQUESTS:
        return {}
    in_order = sorted(sent, key=lambda one: one.sent_s)
    ends = [len(in_order) * at // PARTS for at in range(PARTS + 1)]
    cut = [latencies(in_order[ends[at] : ends[at + 1]]) for at in range(PARTS)]
    if not all(own.itl for own in cut):
        return {}
    return {
        "ttft_p50": [median(own.ttft) for own in cut],
        "itl_mean": [fmean(own.itl) for own in cut],
        "itl_p50": [median(own.itl) for own in cut],
        "tpot_p50": [median(own.tpot) for own in cut],
        "e2e_p50": [median(own.e2e) for own in cut],
    }
