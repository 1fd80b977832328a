"""What is measured: points of load, and the ladder that a tool climbs. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Point:
    """So many streams at once, one request each, a token every so often."""

    streams: int
    itl_ms: float
    seconds: float
    """How long each stream lasts."""

    @property
    def tokens(self) -> int:
        """Of each stream."""
        return math.ceil(self.seconds * 1e3 / self.itl_ms)

    @property
    def events_per_s(self) -> float:
        return self.streams * 1e3 / self.itl_ms

    def __str__(self) -> str:
        return f"{self.streams} streams x {1e3 / self.itl_ms:g} tokens/s"


RUNGS = (
    *((8, 20.0), (16, 10.0), (32, 10.0), (64, 10.0), (96, 10.0), (128, 10.0), (192, 10.0)),
    *((256, 10.0), (384, 10.0), (512, 10.0), (768, 10.0), (1024, 10.0), (1024, 8.0)),
)
"""Streams and ms between tokens, by events per second: 400 to 128,000."""
REFERENCE = RUNGS.index((64, 10.0))
"""Where the errors and the cost of all tools are compared."""
ALONE = (1, 1.0)
"""One stream of 1,000 tokens per second: what a tool's stamp is worth when nothing else happens."""


def next_rung(passed: Mapping[int, bool], start: int) -> int | None:
    """The rung to try next, or None when the highest that is sustained is known.

    `passed` says of each rung that was tried whether it was sustained. A tool climbs from `start`
    until it first fails, and goes down from there when it fails at once.
    """
    if not passed:
        return start
    held = [rung for rung, good in passed.items() if good]
    rung = max(held) + 1 if held else min(passed) - 1
    return rung if 0 <= rung < len(RUNGS) and rung not in passed else None
