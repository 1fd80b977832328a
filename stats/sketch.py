"""Sketches: a few hundred counts that give any percentile of any number of observations.

A DDSketch (Masson, Rim and Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 12): observations are counted in bins whose bounds grow by a
constant factor, so that the middle of a bin is within ALPHA of everything in it. A sketch is a
mapping of bin to count; bins are in the order of the values they stand for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

ACCURACY = 0.01
"""What is promised: a percentile of a sketch is within this share of the observations' own."""
ALPHA = 0.009
"""Relative error of a bin's middle. The rest of the promise is for the rounding of stored times."""
GAMMA = (1 + ALPHA) / (1 - ALPHA)
_ORIGIN = 1 << 17
"""Makes the bins of all positive doubles positive; a negative value has its mirror's bin, negated.
Zero is a bin of its own."""

Bins = Mapping[int, int]


def sketch(values: Sequence[float]) -> dict[int, int]:
    """Counts by bin, in ascending order; raises ValueError when a value is not finite."""
    seen = np.asarray(values, dtype=np.float64)
    if not np.isfinite(seen).all():
        raise ValueError("a sketch takes finite values only")
    bins = np.zeros(len(seen), dtype=np.int64)
    some = seen != 0
    size = np.abs(seen[some])
    bins[some] = np.sign(seen[some]) * (_ORIGIN + np.ceil(np.log(size) / np.log(GAMMA)))
    found, counts = np.unique(bins, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def merged(*sketches: Bins) -> dict[int, int]:
    """The sketch of all observations together."""
    total: Counter[int] = Counter()
    for own in sketches:
        total.update(own)
    return dict(sorted(total.items()))


def restored(bins: Bins) -> np.ndarray:
    """One value for each observation, ascending, each within ALPHA of it."""
    found = np.array(sorted(bins), dtype=np.float64)
    middles = np.sign(found) * 2 / (GAMMA + 1) * GAMMA ** (np.abs(found) - _ORIGIN)
    return np.repeat(middles, [bins[own] for own in sorted(bins)])


def percentile(bins: Bins, share: float) -> float:
    """Linear interpolation between order statistics (Hyndman and Fan 1996, type 7).

    Within ALPHA of the observations' own, because both order statistics are; where these have
    different signs, within ALPHA of the larger. Raises ValueError for a sketch of nothing.
    """
    if not bins:
        raise ValueError("a sketch of no observations has no percentiles")
    return float(np.quantile(restored(bins), share))
