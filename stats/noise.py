"""How much the values of many series scatter while nothing changes, in spite of steps and outliers.

Rows are series, columns nights in order, NaN where a night has no value. Location and scale are
one-step M-estimates from the median and the MAD (P. J. Huber, Robust Statistics, 1981, sections
5.2 and 6.7): nearly as efficient as mean and standard deviation on Gaussian values, and no single
night moves them far.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MAD_TO_SIGMA = 1 / norm.ppf(0.75)
LOCATION_CLIP = 1.5
SCALE_CLIP = 2.5
CLIPPED_VARIANCE = (
    1
    - 2 * norm.sf(SCALE_CLIP)
    - 2 * SCALE_CLIP * norm.pdf(SCALE_CLIP)
    + 2 * SCALE_CLIP**2 * norm.sf(SCALE_CLIP)
)
"""Variance of a standard Gaussian clipped at SCALE_CLIP."""
EFFICIENCY = 0.9
"""Degrees of freedom that the clipped variance keeps."""
LEAST_FREEDOM = 3.0
MOST_DRIFT = 0.97


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Of each row."""

    sigma: Vector
    """Standard deviation of one night."""
    drift: Vector
    """Correlation of successive nights that is held against a finding, 0 to MOST_DRIFT."""
    nights: Vector
    """Values that these were estimated from."""

    @property
    def freedom(self) -> Vector:
        """Degrees of freedom of `sigma`; drifting nights say less about the spread.

        G. V. Bayley and J. M. Hammersley, JRSS Supplement 8 (1946) 184-197: n (1-r^2)/(1+r^2).
        """
        lost = (1 - self.drift**2) / (1 + self.drift**2)
        return np.maximum(LEAST_FREEDOM, EFFICIENCY * self.nights * lost - 1)


def noise_floor(values: Matrix) -> Vector:
    """Standard deviation of one night of each row, from differences of successive nights.

    A step enters one difference and an outlier two, and the median of the differences does not
    see them. Slow drift does not enter at all. NaN where a row has fewer than two values.
    """
    compact = np.sort(np.where(np.isnan(values), np.inf, 0.0), axis=1, kind="stable")
    order = np.argsort(np.isnan(values), axis=1, kind="stable")
    rows = np.where(np.isinf(compact), np.nan, np.take_along_axis(values, order, axis=1))
    steps = np.abs(np.diff(rows, axis=1))
    known = (~np.isnan(steps)).sum(axis=1)
    middle = sorted_median(np.sort(steps, axis=1), known)
    return np.where(known > 0, middle * MAD_TO_SIGMA / 2**0.5, np.nan)


def location(values: Matrix) -> tuple[Vector, Vector]:
    """Middle of each row and from how many values; NaN from none."""
    known = (~np.isnan(values)).sum(axis=1)
    middle = sorted_median(np.sort(values, axis=1), known)
    away = values - middle[:, None]
    limit = LOCATION_CLIP * MAD_TO_SIGMA * sorted_median(np.sort(np.abs(away), axis=1), known)
    clipped = np.clip(away, -limit[:, None], limit[:, None])
    return middle + np.nansum(clipped, axis=1) / np.maximum(known, 1), known.astype(np.float64)


def residual_noise(residuals: Matrix, least: float, caution: float, means: int = 1) -> Noise:
    """Noise of rows of residuals, each from the location of its own segment.

    least: below this a spread is taken for the resolution of the values. caution: how many
    standard errors the drift is taken above its estimate, for drift that is not believed in is
    what raises false alarms. The estimate is freed of its bias, (1 + 3 r) / n for an estimated
    mean (F. H. C. Marriott and J. A. Pope, Biometrika 41 (1954) 390-402). means: how many locations
    the residuals are from.
    """
    known = ~np.isnan(residuals)
    count = known.sum(axis=1)
    rough = MAD_TO_SIGMA * sorted_median(np.sort(np.abs(residuals), axis=1), count)
    limit = SCALE_CLIP * np.fmax(rough, least)[:, None]
    clipped = np.where(known, np.clip(residuals, -limit, limit), 0.0)
    squares = np.einsum("ij,ij->i", clipped, clipped)
    sigma = np.sqrt(squares / CLIPPED_VARIANCE / np.maximum(count - means, 1))
    return Noise(
        sigma=np.fmax(sigma, least),
        drift=_drift(clipped, known, squares, caution, means),
        nights=count.astype(np.float64),
    )


def _drift(
    clipped: Matrix, known: NDArray[np.bool_], squares: Vector, caution: float, means: int
) -> Vector:
    count = known.sum(axis=1)
    pairs = (known[:, 1:] & known[:, :-1]).sum(axis=1)
    products = np.einsum("ij,ij->i", clipped[:, 1:], clipped[:, :-1])
    enough = (pairs > 3) & (squares > 0)
    raw = np.where(enough, products / np.maximum(pairs, 1), 0.0)
    raw = raw * count / np.where(squares > 0, squares, 1.0)
    freed = (raw * count + means) / np.maximum(count - 3 * means, 4)
    error = np.sqrt(np.maximum(1 - freed**2, 0.05) / np.maximum(count, 1))
    return np.asarray(np.clip(freed + caution * error, 0.0, MOST_DRIFT))


def sum_variance(nights: int, drift: Vector) -> Vector:
    """Variance of the sum of so many successive nights of variance 1 that drift as AR(1)."""
    gaps = np.arange(1, nights)
    shared = ((nights - gaps) * drift[:, None] ** gaps).sum(axis=1)
    return np.asarray(nights + 2 * shared)


def mean_variance(count: Vector, drift: Vector) -> Vector:
    """Variance of the mean of many drifting nights of variance 1, at most 1."""
    return np.minimum((1 + drift) / (1 - drift) / np.maximum(count, 1), 1.0)


def sorted_median(rows: Matrix, known: NDArray[np.int64]) -> Vector:
    """Medians of rows that are sorted with NaN last; NaN where nothing is known."""
    last = np.maximum(known - 1, 0)
    if last.size and (last == last[0]).all():  # as nearly always: two columns will do
        return np.asarray((rows[:, last[0] // 2] + rows[:, (last[0] + 1) // 2]) / 2)
    low = np.take_along_axis(rows, (last // 2)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(rows, ((last + 1) // 2)[:, None], axis=1)[:, 0]
    return np.asarray((low + high) / 2)
