"""What a tool saw set against what happened. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as a tool tells of it."""

    stream: str
    """The name that it sent in X-Request-ID or as its first token id, or the number that the
    server wrote into its first token, as `#17`."""
    ttft_s: float
    gaps_s: tuple[float, ...] | None
    """Between successive tokens; None for a tool that does not keep them."""
    mean_gap_s: float
    """First to last token by the number of gaps."""


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Seen minus true, without sign, s. Sorted."""

    itl_s: tuple[float, ...]
    """Each gap between tokens; empty for a tool that does not keep them."""
    mean_itl_s: tuple[float, ...]
    """The mean gap of each request."""
    ttft_s: tuple[float, ...]
    lost: int
    """Requests of the load that the tool does not tell of, or with another number of tokens."""


def keys(stream: Mapping[str, Any]) -> tuple[str, str]:
    """By which a tool may name a stream of the server."""
    return stream["name"], f"#{stream['number']}"


def load(truth: Mapping[str, Any], streams: int, tokens: int) -> list[Mapping[str, Any]]:
    """The measured streams: the last ones as long as asked. Probes and warm-up came before."""
    whole = [stream for stream in truth["streams"] if len(stream["left_s"]) == tokens]
    return sorted(whole, key=lambda stream: stream["came_s"])[-streams:]


def errors(seen: Sequence[Seen], streams: Sequence[Mapping[str, Any]]) -> Errors:
    """`streams` as the reference server tells of them at /truth."""
    told = {one.stream: one for one in seen}
    gaps: list[float] = []
    means: list[float] = []
    firsts: list[float] = []
    for stream in streams:
        left_s = stream["left_s"]
        true_s = [after - before for before, after in pairwise(left_s)]
        one = next((told[key] for key in keys(stream) if key in told), None)
        if one is None or (one.gaps_s is not None and len(one.gaps_s) != len(true_s)):
            continue
        gaps += [abs(a - b) for a, b in zip(one.gaps_s or (), true_s, strict=False)]
        means.append(abs(one.mean_gap_s - sum(true_s) / len(true_s)))
        firsts.append(abs(one.ttft_s - (left_s[0] - stream["came_s"])))
    return Errors(
        itl_s=tuple(sorted(gaps)),
        mean_itl_s=tuple(sorted(means)),
        ttft_s=tuple(sorted(firsts)),
        lost=len(streams) - len(firsts),
    )


def rate(streams: Sequence[Mapping[str, Any]]) -> float:
    """Events per second in the middle four fifths of all events, as the streams came."""
    left_s = sorted(at for stream in streams for at in stream["left_s"])
    first, last = len(left_s) // 10, len(left_s) * 9 // 10
    return float((last - first) / (left_s[last] - left_s[first]))


def of(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p99 and the largest of sorted values, by nearest rank; None without values."""
    if not values:
        return None
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: values[min(int(q * len(values)), len(values) - 1)] for name, q in at.items()}
