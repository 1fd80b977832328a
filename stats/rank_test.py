"""The Mann-Whitney test, exact for the sizes of a night, and what sizes it needs.

H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947) 50-60. With ties the
null distribution is that of the sum of midranks over all ways to choose which trials are the
contender's (E. L. Lehmann, Nonparametrics, 1975, section 1.4): no approximation, no assumption
about the shape of the values.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from math import comb
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from stats.samples import doubled_midranks

EXACT_STEPS = 50_000_000
"""Additions up to which all assignments are counted: 50 v 50 or 5 v 210 trials, about 0.1 s."""


def rank_test(baseline: Sequence[float], contender: Sequence[float]) -> float:
    """Two-sided p: the chance of a rank sum at least as far from its mean if no side differs.

    Never below `least_p`: ties can leave one extreme assignment without its mirror image, and a
    p that no untied sample of these sizes could reach would contradict what was announced.
    """
    m, n = len(contender), len(baseline)
    if not m or not n:
        raise ValueError(f"a rank test of {n} v {m} values")
    ranks = doubled_midranks([*contender, *baseline])
    distance = abs(int(ranks[:m].sum()) - m * (m + n + 1))
    if not is_exact(m, n):
        return max(_normal_p(ranks, m, distance), least_p(m, n))
    fewer = min(m, n)  # both rank sums lie equally far from their means
    counts = rank_sum_counts(tuple(sorted(ranks.tolist())), fewer)
    far = np.abs(np.arange(len(counts)) - fewer * (m + n + 1)) >= distance
    return min(1.0, max(float(counts[far].sum()) / comb(m + n, m), least_p(m, n)))


def is_exact(m: int, n: int) -> bool:
    """Whether p and intervals for m v n trials count all assignments or approximate them."""
    return min(m, n) * (m + n) ** 3 <= EXACT_STEPS


def least_p(m: int, n: int) -> float:
    """The least two-sided p that m v n trials can reach: 2 / C(m + n, n), at most 1."""
    return min(1.0, 2 / comb(m + n, n))


def trials_needed(alpha: float) -> int:
    """The least n for which n v n trials can reach p <= alpha."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    return next(n for n in count(1) if least_p(n, n) <= alpha)


@lru_cache(maxsize=256)
def rank_sum_counts(ranks: tuple[int, ...], m: int) -> NDArray[np.float64]:
    """counts[s]: in how many ways m of the ranks sum to s. Read-only.

    Floats, since C(100, 50) exceeds an int64; below 2**53 they are exact.
    """
    counts = np.zeros((m + 1, sum(ranks) + 1))
    counts[0, 0] = 1
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, :-rank]
    chosen: NDArray[np.float64] = counts[m].copy()
    chosen.flags.writeable = False
    return chosen


def _normal_p(ranks: NDArray[np.int64], m: int, distance: int) -> float:
    """Normal approximation with continuity and tie correction (Lehmann 1975, section 1.4)."""
    total = len(ranks)
    n = total - m
    _, ties = np.unique(ranks, return_counts=True)
    lost = float((ties.astype(float) ** 3 - ties).sum()) / (total * (total - 1))
    variance = m * n / 12 * (total + 1 - lost)
    if variance == 0:
        return 1.0
    z = max(0.0, distance / 2 - 0.5) / variance**0.5
    return 2 * NormalDist().cdf(-z)
