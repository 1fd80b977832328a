"""What no rule can exceed: an oracle on the noise of a row, and steps that no label tells of."""

from collections.abc import Sequence

import numpy as np
from detecting.known_series import Labelled, Matrix

NIGHTS = 3
DRAWN = 2_000_000
"""Nights that the oracle's threshold is taken from."""
AROUND = 50
LASTING = 0.03
"""The least change that the policy cares about for most metrics."""


def oracle_recall(series: Sequence[Matrix], change: float, rates: Sequence[float]) -> list[float]:
    """Share of permuted series whose last NIGHTS are called after a change of `change`.

    series: logarithms of the nights of each. The oracle knows the level and the spread of every
    series, how many nights have changed, and the one threshold for all series at which so many
    nights (`rates`, shares) are called without a change.
    """
    draw = np.random.default_rng(7_550)
    times = DRAWN // sum(map(len, series)) + 1
    quiet, moved = [], []
    for own in series:
        scores = (own - own.mean()) / own.std(ddof=1)
        nights = draw.permuted(np.tile(scores, (times, 1)), axis=1)
        sums = np.cumsum(nights, axis=1)
        sums[:, NIGHTS:] -= sums[:, :-NIGHTS].copy()
        quiet.append(np.abs(sums[:, NIGHTS - 1 :]).ravel())
        moved.append(np.abs(sums[:, -1] + NIGHTS * change / own.std(ddof=1)))
    limits = np.quantile(np.concatenate(quiet), 1 - np.array(rates))
    called = np.concatenate(moved)
    return [float((called > limit).mean()) for limit in limits]


def lasting(one: Labelled, at: int) -> bool:
    """Whether the medians of AROUND values before and from `at` on differ by LASTING or more."""
    before, after = one.values[max(0, at - AROUND) : at], one.values[at : at + AROUND]
    return bool(abs(np.log(np.nanmedian(after) / np.nanmedian(before))) >= LASTING)
