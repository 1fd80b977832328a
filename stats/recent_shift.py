"""Whether the last few nights of many series lie elsewhere than the nights before them.

A generalised likelihood ratio over the night at which the change began (T. L. Lai, JRSS B 57
(1995) 613-658), made robust and honest: scores are clipped, the spread is Student's because it is
estimated, and nights of a drifting host count for less than independent ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from stats.noise import (
    Matrix,
    Noise,
    Vector,
    location,
    mean_variance,
    residual_noise,
    sum_variance,
)

MOST = 8.0
"""Standard deviations at which one night's score is clipped."""


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """What each row's last nights are set against."""

    middle: Vector
    count: Vector
    """Nights of this segment."""
    pool: Matrix
    """Residuals of this segment and of those before it, NaN for none."""
    noise: Noise


@dataclass(frozen=True, kw_only=True)
class RecentShift:
    """One window of each row against its baseline. `p` is 1 where nothing can be said."""

    nights: int
    """Length of the window."""
    p: Vector
    p_rest: Vector
    """Without the window's most extreme night."""
    p_tonight: Vector
    """Of the last night against the farthest other of the window: 1 unless it lies beyond."""
    distance: Vector
    """Of the window from its baseline in standard errors, signed."""
    shift: Vector
    """Median of the window minus the baseline's middle."""
    baselines: Baselines


def baselines(
    values: Matrix, kept: Matrix, least: float, caution: float, after: Matrix | None = None
) -> Baselines:
    """values: nights of the running segment, NaN elsewhere; kept: residuals of earlier ones; after:
    later nights, where there are enough that their scatter tells of the noise as well."""
    middle, count = location(values)
    own = values - middle[:, None]
    carried = ~np.isnan(kept).all(axis=0)
    pool = np.concatenate([kept[:, carried.argmax() :], own], axis=1) if carried.any() else own
    told = pool if after is None else np.concatenate([pool, _around_own(after)], axis=1)
    noise = residual_noise(told, least, caution, means=1 if after is None else 2)
    return Baselines(middle=middle, count=count, pool=pool, noise=noise)


def _around_own(values: Matrix) -> Matrix:
    return np.asarray(values - location(values)[0][:, None])


def recent_shift(window: Matrix, before: Baselines, spreads: Matrix) -> RecentShift:
    """window: the last nights of each row, oldest first. spreads: by how much each of its nights
    scatters more than a night of the baseline, as a factor of at least 1."""
    away = (window - before.middle[:, None]) / (before.noise.sigma[:, None] * spreads)
    scores = np.clip(away, -MOST, MOST)
    distance, p = _tested(scores, before)
    ordered = np.sort(scores * np.sign(distance)[:, None], axis=1)
    side, p_rest = _tested(ordered[:, :-1], before)
    shift = np.median(window, axis=1) - before.middle
    beyond = away * np.sign(distance)[:, None]
    apart = np.maximum(0.0, beyond[:, -1] - beyond[:, :-1].max(axis=1)) / 2**0.5
    return RecentShift(
        nights=window.shape[1],
        p=np.where(shift * distance > 0, np.maximum(p, np.finfo(float).tiny), 1.0),
        p_rest=np.where(side > 0, p_rest, 1.0),
        p_tonight=2 * stdtr(before.noise.freedom, -apart),
        distance=distance,
        shift=shift,
        baselines=before,
    )


def _tested(scores: Matrix, before: Baselines) -> tuple[Vector, Vector]:
    """Signed distance in standard errors, and its two-sided p."""
    nights, noise = scores.shape[1], before.noise
    apart = nights**2 * mean_variance(before.count, noise.drift)
    distance = scores.sum(axis=1) / np.sqrt(sum_variance(nights, noise.drift) + apart)
    return distance, np.asarray(2 * stdtr(noise.freedom, -np.abs(distance)))


def reach(count: Vector, drift: Vector, windows: Sequence[int], threshold: float) -> Matrix:
    """windows x rows: by how much the scores of so many last nights sum up when their window lies
    `threshold` standard errors from a baseline of `count` nights."""
    length = np.array(windows, dtype=np.float64)[:, None]
    variance = (1 + drift) / (1 - drift) * length
    variance -= 2 * drift * (1 - drift**length) / (1 - drift) ** 2
    return np.asarray(threshold * np.sqrt(variance + length**2 * mean_variance(count, drift)))


def closeness(scores: Matrix, limits: Matrix, windows: Sequence[int]) -> Matrix:
    """A cheap look before the careful one: each window's sum over its limit, windows x rows.

    scores: nights x rows, in standard deviations, the newest first; limits: from reach. 0 for
    windows longer than the nights given.
    """
    close, total, summed = np.zeros(limits.shape), np.zeros(limits.shape[1]), 0
    for at, nights in enumerate(windows):
        if nights <= len(scores):
            total += scores[summed:nights].sum(axis=0)
            close[at], summed = np.abs(total) / limits[at], nights
    return close
