"""Many series as one table of nights: what a replay looks at. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stats.noise import sorted_median

Matrix = NDArray[np.float64]

SCALE_NIGHTS = 5
"""First nights of a series that decide its scale."""


@dataclass(frozen=True, kw_only=True)
class Histories:
    """One row a series, one column a night of that series, in order; NaN after its last night."""

    values: Matrix
    """Of each night over its trials, on a scale where a difference is a relative change."""
    trials: Matrix
    """How many valid ones the night has; 0 after the last night."""
    within: Matrix
    """Variance of a single trial inside the night; NaN with fewer than two."""
    is_log: NDArray[np.bool_]
    """Whether the scale of a row is logarithmic."""

    def change(self, row: int, shift: float) -> float:
        """Relative change of a shift on the row's scale."""
        return float(np.expm1(shift)) if self.is_log[row] else shift


def night_values(trials: Matrix) -> Matrix:
    """Over the last axis, NaN for none: the mean, without the extremes where there are five."""
    count = (~np.isnan(trials)).sum(axis=-1)
    total = np.nansum(trials, axis=-1)
    if trials.shape[-1] >= 5:
        ends = np.where(count[..., None] > 0, trials, 0.0)
        trimmed = total - np.nanmin(ends, axis=-1) - np.nanmax(ends, axis=-1)
        total, count = np.where(count >= 5, trimmed, total), np.where(count >= 5, count - 2, count)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def within_variance(trials: Matrix) -> Matrix:
    """Variance over the last axis; NaN with fewer than two values."""
    count = (~np.isnan(trials)).sum(axis=-1)
    middle = np.nansum(trials, axis=-1) / np.maximum(count, 1)
    squares = np.nansum((trials - middle[..., None]) ** 2, axis=-1)
    return np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)


def histories(trials: Matrix) -> Histories:
    """trials: series x nights x trials in the metric's unit, NaN for none.

    A series whose first nights all lie above half of their middle is judged on logarithms, and a
    later value that has none is no value; others, which may pass through 0, in units of the
    middle of those nights.
    """
    first = trials[:, :SCALE_NIGHTS].reshape(len(trials), -1)
    count = (~np.isnan(first)).sum(axis=1)
    half = sorted_median(np.sort(first, axis=1), count)[:, None] / 2
    is_log = np.asarray((half[:, 0] > 0) & ~(first <= half).any(axis=1))
    unit = np.ones(len(trials))
    for row in np.flatnonzero(~is_log):
        unit[row] = abs(np.nanmedian(first[row])) or np.nanmax(np.abs(first[row])) or 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(trials > 0, np.log(trials), np.nan)
    scaled = np.where(is_log[:, None, None], logs, trials / unit[:, None, None])
    return Histories(
        values=night_values(scaled),
        trials=(~np.isnan(scaled)).sum(axis=2).astype(np.float64),
        within=within_variance(scaled),
        is_log=is_log,
    )
