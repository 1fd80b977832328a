"""One test of all metrics of a cell together, by exchanging whole trials.

The metrics of a trial move together, so their p-values are far from independent; exchanging the
labels of whole trials keeps that dependence whatever it is. P. H. Westfall and S. S. Young,
Resampling-Based Multiple Testing (1993), section 2: the single-step maxT procedure. It keeps the
chance of any false finding among the metrics at the level, and unlike a product of rank tests it
knows how far apart the sides are: a change much larger than anything that another assignment of
the labels produces in any metric reaches the least p of the sizes, however many metrics there are.
"""

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

MOST_ASSIGNMENTS = 20_000
"""All assignments are tried up to here (8 v 8 has 12 870), beyond it as many drawn ones."""
SAME = 1 - 1e-9
"""An assignment and its mirror image differ by rounding only."""


def joint_test(values: Matrix, contenders: int, floors: Matrix) -> list[float]:
    """Adjusted p of every metric.

    values: trials x metrics, on a scale where metrics are comparable (logarithms, or relative
    values); NaN where a trial has no value. The first `contenders` rows are the contender's.
    floors: the least change that matters for each metric on that scale, above 0. It is added to
    the spread (as in V. G. Tusher et al., PNAS 98 (2001) 5116-5121), so that a metric without
    noise cannot outrank the others with a change of no consequence.
    """
    labels = assignments(contenders, len(values) - contenders)
    distances = _distances(values, labels, floors)
    observed, greatest = distances[0], distances.max(axis=1)
    as_far = (greatest[:, None] >= observed * SAME).mean(axis=0)
    return [float(p) for p in as_far]


@lru_cache(maxsize=16)
def assignments(m: int, n: int) -> Matrix:
    """Rows of 1 (contender) and 0 (baseline), the observed one first. Read-only.

    Drawn ones come from a fixed seed: the same night is judged the same way twice.
    """
    if comb(m + n, m) <= MOST_ASSIGNMENTS:
        labels = np.zeros((comb(m + n, m), m + n))
        for row, chosen in enumerate(combinations(range(m + n), m)):
            labels[row, list(chosen)] = 1
    else:
        observed = np.repeat([1.0, 0.0], [m, n])
        labels = np.tile(observed, (MOST_ASSIGNMENTS, 1))
        np.random.default_rng(0).permuted(labels[1:], axis=1, out=labels[1:])
    labels.flags.writeable = False
    return labels


def _distances(values: Matrix, labels: Matrix, floors: Matrix) -> Matrix:
    """assignments x metrics: difference of means over pooled spread plus floor, without sign.

    0 where an assignment leaves a side without values.
    """
    known = ~np.isnan(values)
    centred = np.where(known, values - np.nanmean(values, axis=0), 0.0)
    here, total = labels @ known, known.sum(axis=0)
    there = total - here
    sums = labels @ centred
    both = (here > 0) & (there > 0)
    share = np.where(both, 1 / np.maximum(here, 1) + 1 / np.maximum(there, 1), 0.0)
    squares = (centred**2).sum(axis=0) - sums**2 * share
    spread = np.sqrt(np.maximum(squares, 0.0) / np.maximum(total - 2, 1))
    return np.asarray(np.abs(sums * share) / (spread + floors))
