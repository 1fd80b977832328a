"""Where a run of values changed its level, given that it did once."""

import numpy as np
from numpy.typing import NDArray

LEAST_AFTER = 2
"""Values that must follow the change: one alone is a dip."""


def best_split(values: NDArray[np.float64]) -> int:
    """Index of the first value of the second level: the least squares of two levels.

    The likelihood estimate for Gaussian noise (D. V. Hinkley, Biometrika 57 (1970) 1-17); callers
    clip outliers. NaN are passed over. Needs 1 + LEAST_AFTER values.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 1 + LEAST_AFTER:
        raise ValueError(f"a change of level within {len(known)} values")
    own = values[known] - values[known].mean()
    before = np.arange(1, len(own) - LEAST_AFTER + 1)
    sums = np.cumsum(own)[before - 1]
    gains = sums**2 * len(own) / (before * (len(own) - before))
    return int(known[before[int(np.argmax(gains))]])
