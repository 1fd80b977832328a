"""A trial while it is read: what counts as a value, and when the trial is not valid."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from formats.errors import Unreadable
from formats.quantities import Quantity, definition, may_be_zero
from formats.storable import storable
from schema.imports import Definition, ImportedRequest, Tool
from schema.latencies import percentile
from schema.trials import TrialState
from schema.words import digest

FAILED_SHARE = 0.01
"""Of the requests; our own trials have the same limit."""
PERCENTILES = (50, 90, 99)
_MOST_ALIASES = 10


@dataclass(kw_only=True)
class Draft:
    """Values of one trial, in base units, and what casts doubt on them."""

    tool: Tool
    line: int = 1
    values: dict[Definition, float] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    told: int = 0
    """Values that stood in the file, zeros included."""

    def take(
        self, name: str, value: float | None, quantity: Quantity, statistic: str = "value"
    ) -> None:
        """Keep a value of the tool's unit. A zero where none can be measured is no value."""
        self.told += value is not None
        if value is None or (value == 0 and not may_be_zero(quantity, statistic)):
            return
        scaled = value * quantity.factor
        if value < 0:
            self.doubts.append(f"{name} is negative: {value:g}")
        elif math.isfinite(scaled):
            self.values[definition(self.tool, name, quantity, statistic)] = scaled

    def recompute(self, requests: Sequence[ImportedRequest], generation: str = "") -> None:
        """Percentiles over the requests that were answered, under a definition of their own."""
        answered = [own for own in requests if own.error is None]
        kept: dict[str, list[float]] = {
            "ttft": [own.ttft_s for own in answered if own.ttft_s is not None],
            "e2e": [own.e2e_s for own in answered if own.e2e_s is not None],
            "gap": [gap for own in answered for gap in own.gap_s],
        }
        for name, observations in kept.items():
            told = Quantity(words=_RECOMPUTED[name], factor=1, generation=generation)
            ordered = sorted(observations)
            for at in PERCENTILES if ordered else ():
                value = percentile(ordered, at / 100)
                self.take(f"recomputed_{name}_p{at}", value, told, f"p{at}")

    def outcome(
        self, completed: int | None, failed: int, why: str = ""
    ) -> tuple[TrialState, str | None, dict[Definition, float]]:
        """State, reason and the values that remain: a failed trial has none.

        Raises Unreadable where nothing stands that the tool writes.
        """
        if not self.told and completed is None:
            raise Unreadable(f"holds no value that {self.tool} writes", self.line)
        known = storable(f": {why}") if why else ""
        total = (completed or 0) + failed
        if completed == 0:
            return TrialState.FAILED, f"{_nobody(total)} was answered{known}", {}
        if not self.values:
            return TrialState.FAILED, f"nothing was measured: all values are 0 or absent{known}", {}
        reasons = list(self.doubts)
        if total and failed / total > FAILED_SHARE:
            reasons.insert(0, f"{failed} of {total} requests failed{known}")
        state = TrialState.INVALID if reasons else TrialState.VALID
        return state, storable("; ".join(reasons)) or None, self.values


_RECOMPUTED = {
    "ttft": "the tool's own times to first token of answered requests (recomputed, linear)",
    "e2e": "the tool's own latencies of answered requests (recomputed, linear)",
    "gap": "the tool's own gaps, pooled over answered requests (recomputed, linear)",
}


def _nobody(requests: int) -> str:
    return f"none of {requests} requests" if requests else "no request"


def content_key(value: Any, written: int) -> str:
    """Digest of what a record says, however it is spaced; `written`: characters of the file.

    Raises Unreadable for YAML that refers to itself so often that it has no end.
    """
    budget = [_MOST_ALIASES * written + 1000]
    return digest(json.loads(json.dumps(_plain(value, budget))))


def _plain(value: Any, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise Unreadable("repeats parts of itself too often; write it without anchors")
    if isinstance(value, dict):
        return {str(key): _plain(inner, budget) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, budget) for inner in value]
    if isinstance(value, int) and value.bit_length() > 64:
        return hex(value)  # more digits than Python writes in decimal
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def by_two_digits(total: float | None, count: int | None) -> float | None:
    """A mean length to two significant digits: drawn prompts of one workload differ that little."""
    if not total or not count or total < 0:
        return None
    return float(f"{total / count:.2g}")


def gaps(moments: Sequence[float]) -> tuple[float, ...]:
    """Between successive moments; a clock that was set back leaves none."""
    spans = (span(later - earlier) for earlier, later in pairwise(moments))
    return tuple(own for own in spans if own is not None)


def span(seconds: float) -> float | None:
    """A length of time, or None where it cannot be one."""
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def first_error(errors: Sequence[Any]) -> str:
    """The first one that says something, in one line."""
    told = next((str(error) for error in errors if error), "")
    return " ".join(told.split())[:200]
