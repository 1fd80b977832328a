"""Corrections for asking many questions in one night."""

from collections.abc import Sequence
from itertools import accumulate


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjusted p of each: the least false discovery rate at which it is a discovery.

    Y. Benjamini and Y. Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289-300.
    """
    total = len(ps)
    falling = sorted(range(total), key=lambda at: ps[at], reverse=True)
    steps = [ps[at] * total / (total - place) for place, at in enumerate(falling)]
    adjusted = dict(zip(falling, accumulate(steps, min), strict=True))
    return [min(1.0, adjusted[at]) for at in range(total)]


def simes(ps: Sequence[float]) -> float:
    """One p for all of them being chance: the least of p(i) n / i, p(i) the i-th smallest.

    R. J. Simes, Biometrika 73 (1986) 751-754; valid for independent and positively dependent ps,
    such as those of metrics that move together. 1 for none.
    """
    return min(benjamini_hochberg(ps), default=1.0)


def adjusted_after_selection(family_ps: Sequence[float], p: float) -> float:
    """The least rate q at which one hypothesis inside a family is a discovery.

    Families are selected by Benjamini-Hochberg at q; inside the R selected of m families a
    hypothesis counts whose p, already adjusted within its family, is at most q R / m
    (Y. Benjamini and M. Bogomolov, Journal of the Royal Statistical Society B 76 (2014) 297-318).
    `family_ps` holds one p a family, the family's own being at most `p`.
    """
    m = len(family_ps)
    selecting = sorted(benjamini_hochberg(family_ps))
    return min(1.0, *(max(q, p * m / r) for r, q in enumerate(selecting, start=1)))
