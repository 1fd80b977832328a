"""The careful look at recent nights: every window against its own baseline, by two tests. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regressions.histories import Histories, Matrix
from regressions.policy import Look, SeriesRules
from stats.rank_test import least_p, rank_test
from stats.recent_shift import RecentShift, baselines, recent_shift

Rows = NDArray[np.int64]
SIGNIFICANT = 12
"""Decimals of residuals that count when they are ranked; beyond them is rounding."""
REFERENCE_CAUTION = 2.0
"""As drift_caution, for the few nights of the second reference."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A window of one series that passed every test."""

    row: int
    nights: int
    """Since the change began, tonight included."""
    shift: float
    p: float
    rank_p: float | None
    """None for a single night, and for what crept in: no order of nights could tell."""
    distance: float
    """In standard errors."""
    sigma: float
    drift: float
    count: int
    """Nights of the segment before."""
    pool: Matrix
    """Residuals that the next segment keeps."""


def segment_nights(values: Matrix, rows: Rows, start: Rows, end: int, length: int) -> Matrix:
    """The last `length` nights before `end` of each row's segment, NaN before its start."""
    low = max(0, end - length)
    if (start[rows] <= low).all():
        return values[rows, low:end]
    inside = np.arange(low, end)[None, :] >= start[rows][:, None]
    return np.where(inside, values[rows, low:end], np.nan)


def candidates(
    series: Histories,
    kept: Matrix,
    start: Rows,
    rows: Rows,
    worth: NDArray[np.bool_],
    night: int,
    rules: SeriesRules,
) -> Iterator[Candidate]:
    """Of each row the window whose p is least for what is asked of it, if that is enough by every
    rule.

    worth: windows x rows, those that are looked at.
    """
    best: dict[int, tuple[float, RecentShift, int]] = {}
    for look, looked in zip(rules.looks, worth, strict=True):
        own = rows[looked & _has_trials(series, rows, night, look.nights, rules)]
        if own.size and rules.confirm_nights < look.nights <= night:
            shift = _windowed(series, kept, start, own, night, look, rules)
            share = shift.p / look.asks.alpha
            for at in np.flatnonzero(_allowed(shift, look, rules) & (share <= 1)).tolist():
                row = int(own[at])
                if row not in best or share[at] < best[row][0]:
                    best[row] = (float(share[at]), shift, at)
    for row, (_, shift, at) in sorted(best.items()):
        found = _candidate(shift, at, row)
        found = replace(found, rank_p=_rank_p(found, shift, at, series, night, rules))
        if found.rank_p is not None and found.rank_p <= rules.rank_alpha:
            yield found


def _has_trials(
    series: Histories, rows: Rows, night: int, nights: int, rules: SeriesRules
) -> NDArray[np.bool_]:
    recent = series.trials[rows, max(0, night - nights + 1) : night + 1].sum(axis=1)
    return np.asarray(recent >= rules.confirm_trials)


def _windowed(
    series: Histories,
    kept: Matrix,
    start: Rows,
    rows: Rows,
    night: int,
    look: Look,
    rules: SeriesRules,
) -> RecentShift:
    first = night - look.nights + 1
    values = segment_nights(series.values, rows, start, first, rules.baseline_nights)
    window = series.values[rows, first : night + 1]
    after = window if look.is_lasting else None
    caution = look.asks.drift_caution
    before = baselines(values, kept[rows], rules.least_change / 4, caution, after)
    spreads = _spreads(series, rows, night, look.nights, before.noise.sigma)
    return recent_shift(window, before, spreads)


def _spreads(
    series: Histories, rows: Rows, night: int, nights: int, sigma: NDArray[np.float64]
) -> Matrix:
    """By how much each night of the window scatters more than those before it, for having fewer
    trials: what one trial varies inside a night, over sigma."""
    first = night - nights + 1
    earlier, recent = series.trials[rows, :first], series.trials[rows, first : night + 1]
    usual = earlier.sum(axis=1) / np.maximum((earlier > 0).sum(axis=1), 1)
    missing = np.maximum(0.0, 1 / np.maximum(recent, 1) - 1 / np.maximum(usual, 1)[:, None])
    if not missing.any():
        return np.ones(recent.shape)
    freedom = np.maximum(earlier - 1, 0)
    squares = np.nansum(series.within[rows, :first] * freedom, axis=1)
    variance = squares / np.maximum(freedom.sum(axis=1), 1)
    return np.asarray(np.sqrt(1 + (variance / sigma**2)[:, None] * missing))


def _allowed(shift: RecentShift, look: Look, rules: SeriesRules) -> NDArray[np.bool_]:
    """Enough history, large enough to matter, and not one night's doing: without its most extreme
    night half of the evidence (the root of alpha) must be left, and a night that lies apart even
    from the others of its window waits for the next one: tonight alone is told as suspected."""
    return np.asarray(
        (shift.baselines.noise.nights >= rules.least_nights)
        & (shift.baselines.count >= 2)
        & (np.abs(shift.shift) >= look.asks.least_change)
        & (shift.p_rest <= look.asks.alpha**0.5)
        & (shift.p_tonight > look.asks.alpha)
    )


def _candidate(shift: RecentShift, at: int, row: int) -> Candidate:
    before = shift.baselines
    return Candidate(
        row=row,
        nights=shift.nights,
        shift=float(shift.shift[at]),
        p=float(shift.p[at]),
        rank_p=None,
        distance=float(shift.distance[at]),
        sigma=float(before.noise.sigma[at]),
        drift=float(before.noise.drift[at]),
        count=int(before.count[at]),
        pool=before.pool[at],
    )


def _rank_p(
    found: Candidate,
    shift: RecentShift,
    at: int,
    series: Histories,
    night: int,
    rules: SeriesRules,
) -> float | None:
    """Exact p of the window among the residuals of nights. So few nights of several trials each
    that no order of them could reach rank_alpha must all lie beyond every night before, and then
    their trials are counted: p is the least that so many of them can reach."""
    middle = shift.baselines.middle[at]
    first = night - found.nights + 1
    window = np.round(series.values[found.row, first : night + 1] - middle, SIGNIFICANT)
    pool = np.round(found.pool[~np.isnan(found.pool)], SIGNIFICANT)
    least = least_p(found.nights, len(pool))
    if least <= rules.rank_alpha:
        return rank_test(pool.tolist(), window.tolist())
    if (np.sign(found.shift) * (window[:, None] - pool[None, :]) > 0).all():
        recent = int(series.trials[found.row, first : night + 1].sum())
        usual = np.median(series.trials[found.row, max(0, first - len(pool)) : first])
        return least_p(recent, int(usual * len(pool)))
    return least


def creeping(series: Histories, start: Rows, night: int, rules: SeriesRules) -> Iterator[Candidate]:
    """Segments whose last nights lie elsewhere than their first ones: what no window saw happen."""
    nights, first = rules.settle_nights, rules.drift_nights
    age = night - start
    rows = np.flatnonzero((age >= first + 2 * nights) & (age % nights == 0))
    rows = rows[~np.isnan(series.values[rows, night])]
    if not rows.size:
        return
    columns = start[rows][:, None] + np.arange(first)
    values = series.values[rows[:, None], columns]
    nothing = np.full((len(rows), 1), np.nan)
    before = baselines(values, nothing, rules.least_change / 4, REFERENCE_CAUTION)
    window = series.values[rows, night - nights + 1 : night + 1]
    shift = recent_shift(window, before, np.ones(window.shape))
    far = np.abs(shift.shift) >= 2 * rules.least_change
    for at in np.flatnonzero(far & (shift.p <= rules.alpha)).tolist():
        yield _candidate(shift, at, int(rows[at]))
