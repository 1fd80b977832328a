"""Whether more requests are slow than before: the tail of a distribution, not its middle.

The share of the contender's requests beyond a percentile of the baseline's. Among exchangeable
requests how many of one side lie beyond an order statistic of the other follows the negative
hypergeometric distribution (an exceedance test: B. Epstein, Annals of Mathematical Statistics 25
(1954) 762-768), exactly and whatever the shape. Requests of one trial are not exchangeable with
those of another, so with several trials a side each gives one share and the shares are ranked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nhypergeom

from stats.rank_test import rank_test

LEAST_BEYOND = 10
"""Requests of the baseline beyond the percentile without which it is not estimable."""

Requests = Sequence[NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class TailComparison:
    threshold: float
    """The baseline's percentile, in the unit of the values."""
    shares: tuple[float, float]
    """Of requests beyond it: baseline, contender."""
    p: float
    """Two-sided."""
    unit: str
    """What was exchanged: `trial`, or `request` where a side has a single trial. Then p holds
    only if the two trials are alike in everything else."""


def tail_comparison(
    baseline: Requests, contender: Requests, percentile: float
) -> TailComparison | None:
    """Each side as one array of requests a trial, 0 < percentile < 100.

    None where fewer than LEAST_BEYOND requests of the baseline lie beyond: not estimable.
    """
    pooled, other = np.sort(np.concatenate(baseline)), np.concatenate(contender)
    beyond = int(len(pooled) * (1 - percentile / 100))
    if beyond < LEAST_BEYOND or not len(other):
        return None
    threshold = float(pooled[-beyond])
    shares = (float((pooled > threshold).mean()), float((other > threshold).mean()))
    if min(len(baseline), len(contender)) > 1:
        each = [[float((own > threshold).mean()) for own in side] for side in (baseline, contender)]
        return TailComparison(threshold=threshold, shares=shares, p=rank_test(*each), unit="trial")
    p = exceedance_p(len(pooled), beyond, other, threshold)
    return TailComparison(threshold=threshold, shares=shares, p=p, unit="request")


def exceedance_p(count: int, beyond: int, others: NDArray[np.float64], threshold: float) -> float:
    """p of how many others lie beyond the `beyond`-th largest of `count` values. A value equal to
    the threshold counts for whichever side makes p larger."""
    above, equal = int((others > threshold).sum()), int((others == threshold).sum())
    total = count + len(others)
    # seen from the top: others drawn before the `beyond`-th of the count
    drawn = nhypergeom(total, len(others), beyond)
    more = float(drawn.sf(above - 1))
    fewer = float(drawn.cdf(above + equal))
    return min(1.0, 2 * min(more, fewer))
