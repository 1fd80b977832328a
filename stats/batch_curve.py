"""What a larger batch gains: throughput over the number of requests in flight."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log2


@dataclass(frozen=True, kw_only=True)
class Step:
    """From one measured batch to the next."""

    low: int
    high: int
    gain: float
    """Throughput gained by each doubling of the batch: 2 where it doubles too, 1 where it stays."""


def steps(throughputs: Mapping[int, float]) -> list[Step]:
    """Of throughputs above 0 by batch, smallest batch first."""
    return [
        Step(
            low=low,
            high=high,
            gain=(throughputs[high] / throughputs[low]) ** (1 / log2(high / low)),
        )
        for low, high in pairwise(sorted(throughputs))
    ]


def bend(throughputs: Mapping[int, float]) -> Step | None:
    """The step that gains least for each doubling; None with fewer than three batches, for two
    make one step and a curve of one step has no bend."""
    found = steps(throughputs)
    return min(found, key=lambda step: step.gain) if len(found) > 1 else None


def experts_read(experts: int, active: int, batch: int) -> float:
    """Expected number of experts of a layer that a batch of tokens reads, each token choosing
    `active` of them evenly and independently of the others: E (1 - (1 - k/E)^b)."""
    return float(experts * (1 - (1 - active / experts) ** batch))
