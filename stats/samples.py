"""What is asked of one sample, or of two samples put together: middles and ranks."""

import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def median(values: Sequence[float]) -> float:
    """Middle value; the mean of the two middle ones for an even count. Needs one value."""
    if not values:
        raise ValueError("the median of no values")
    return float(statistics.median(values))


def doubled_midranks(values: Sequence[float]) -> NDArray[np.int64]:
    """Twice the rank of each value from 1; tied values share the middle of theirs.

    Doubled, because the middle of an even number of ranks is a half.
    """
    _, group, sizes = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    last = np.cumsum(sizes)
    return np.asarray((2 * last - sizes + 1)[group], dtype=np.int64)
