"""What a rank test of given sizes can see, before it is made.

The t test's power for Gaussian trials, with the Mann-Whitney test's efficiency of 3/pi against it
(E. L. Lehmann, Nonparametrics, 1975, section 2.4). Below the exact test's least p there is none.
"""

from itertools import count
from math import pi

from scipy.optimize import brentq
from scipy.stats import nct, t

from stats.rank_test import least_p

EFFICIENCY = 3 / pi
MOST_TRIALS = 10_000
FAR = 5.0
"""Standard errors beyond which the opposite tail is below 1e-8, and below what nct can tell."""
MOST_DISTANCE = 60.0
"""Standard deviations between sides: more than any sizes that can reach alpha need."""


def power(m: int, n: int, *, change: float, noise: float, alpha: float) -> float:
    """Chance that m v n trials show a shift of `change` (same scale as `noise`, the standard
    deviation of one trial) at two-sided `alpha`."""
    if noise <= 0:
        raise ValueError(f"noise {noise} is not above 0")
    if least_p(m, n) > alpha:
        return 0.0
    distance = abs(change) / noise * (EFFICIENCY * m * n / (m + n)) ** 0.5
    freedom = m + n - 2
    limit = t.isf(alpha / 2, freedom)
    seen = float(nct.sf(limit, freedom, distance))
    return seen if distance > FAR else seen + float(nct.cdf(-limit, freedom, distance))


def smallest_change(
    m: int, n: int, *, noise: float, alpha: float, chance: float = 0.8
) -> float | None:
    """The shift that m v n trials show with this chance; None if no shift could be shown."""
    if least_p(m, n) > alpha:
        return None

    def missing(distance: float) -> float:
        return power(m, n, change=distance, noise=1.0, alpha=alpha) - chance

    return noise * float(brentq(missing, 0.0, MOST_DISTANCE))


def trials_for(*, change: float, noise: float, alpha: float, chance: float = 0.8) -> int:
    """The least n for which n v n trials show the shift with this chance."""
    if change == 0:
        raise ValueError("no number of trials shows a change of 0")
    for n in count(2):
        reached = power(n, n, change=change, noise=noise, alpha=alpha)
        if reached >= chance or n >= MOST_TRIALS:
            return n
    raise AssertionError("count never ends")
