"""How much values scatter around their own mean: the coefficient of variation and its interval.

Interval: M. G. Vangel, The American Statistician 50 (1996) 21-26, for Gaussian values with a
coefficient below a third; wider coefficients are told, their interval is then approximate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

RESOLUTION = 1e-12
"""A smaller coefficient is the rounding of equal values."""


@dataclass(frozen=True, kw_only=True)
class Variation:
    """A coefficient of variation, 0.01 for 1 %."""

    cv: float
    interval: tuple[float, float] | None
    """None where the values are all equal, or where the upper end is not bounded."""
    freedom: int
    """Degrees of freedom that it was estimated from."""


def variation(groups: Sequence[Sequence[float]], confidence: float = 0.95) -> Variation | None:
    """Scatter within groups, each around its own mean, pooled over them by degrees of freedom.

    Groups of one value say nothing. None without any larger one, or where a mean is not above 0.
    """
    told = [np.asarray(own, dtype=np.float64) for own in groups if len(own) > 1]
    if not told or any(own.mean() <= 0 for own in told):
        return None
    freedom = sum(len(own) - 1 for own in told)
    squares = sum(float((((own - own.mean()) / own.mean()) ** 2).sum()) for own in told)
    raw = (squares / freedom) ** 0.5
    cv = raw if raw > RESOLUTION else 0.0
    return Variation(cv=cv, interval=_interval(cv, freedom, confidence), freedom=freedom)


def _interval(cv: float, freedom: int, confidence: float) -> tuple[float, float] | None:
    if cv == 0:
        return None
    bounds = []
    for share in ((1 + confidence) / 2, (1 - confidence) / 2):
        quantile = float(chi2.ppf(share, freedom))
        inner = ((quantile + 2) / (freedom + 1) - 1) * cv**2 + quantile / freedom
        if inner <= 0:
            return None
        bounds.append(cv / inner**0.5)
    return bounds[0], bounds[1]
