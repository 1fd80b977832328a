"""The Hodges-Lehmann shift between two samples, with its distribution-free interval.

J. L. Hodges and E. L. Lehmann, Annals of Mathematical Statistics 34 (1963) 598-611; the interval
inverts the Mann-Whitney test (P. K. Sen, Biometrics 19 (1963) 532-552).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, floor
from statistics import NormalDist

import numpy as np

from stats.rank_test import is_exact, rank_sum_counts
from stats.samples import median


@dataclass(frozen=True, kw_only=True)
class Shift:
    """By how much the contender lies above the baseline, in the unit of the values."""

    estimate: float
    """Median of all differences contender minus baseline."""
    interval: tuple[float, float] | None
    """None when these sizes cannot give the confidence asked for."""
    confidence: float | None
    """What the interval covers: at least what was asked, more since coverage comes in steps."""


def hodges_lehmann(
    baseline: Sequence[float], contender: Sequence[float], *, confidence: float
) -> Shift:
    """The shift and its interval; both samples need a value and 0 < confidence < 1."""
    if not baseline or not contender:
        raise ValueError(f"a shift between {len(baseline)} and {len(contender)} values")
    differences = np.sort(np.subtract.outer(np.asarray(contender), np.asarray(baseline)).ravel())
    estimate = median(differences.tolist())
    skipped, achieved = interval_steps(len(baseline), len(contender), confidence)
    if achieved is None:
        return Shift(estimate=estimate, interval=None, confidence=None)
    low, high = float(differences[skipped]), float(differences[-1 - skipped])
    return Shift(estimate=estimate, interval=(low, high), confidence=achieved)


@lru_cache(maxsize=256)
def interval_steps(m: int, n: int, confidence: float) -> tuple[int, float | None]:
    """How many differences to leave out at each end, and the coverage that leaves.

    Leaving out k at each end covers 1 - 2 P(U <= k); None when even k = 0 covers too little.
    """
    if not is_exact(m, n):
        return _normal_steps(m, n, confidence)
    fewer = min(m, n)
    counts = rank_sum_counts(tuple(range(2, 2 * (m + n) + 1, 2)), fewer)
    least = fewer * (fewer + 1)  # the lowest doubled rank sum, where U = 0
    below = np.cumsum(counts[least::2]) / comb(m + n, m)
    covered = 1 - 2 * below[: m * n // 2 + 1]
    enough = np.flatnonzero(covered >= confidence)
    if not enough.size:
        return 0, None
    return int(enough[-1]), float(covered[enough[-1]])


def _normal_steps(m: int, n: int, confidence: float) -> tuple[int, float | None]:
    """As above by the normal approximation to U."""
    spread = (m * n * (m + n + 1) / 12) ** 0.5
    z = NormalDist().inv_cdf((1 - confidence) / 2)
    skipped = max(0, floor(m * n / 2 - 0.5 + z * spread))
    covered = 1 - 2 * NormalDist(m * n / 2, spread).cdf(skipped + 0.5)
    return skipped, covered if covered >= confidence else None
