"""Series watched night by night, each night seeing only those before it. Pure, all rows at once.

Every night every series gets a cheap look: are the sums of its last nights' distances from the
baseline out of the ordinary? Few are, and those get the careful one (regressions.change): every
window of recent nights against its own baseline, with noise and drift estimated anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from regressions.histories import Histories
from regressions.lasting import WEEK, Lasting
from regressions.policy import SeriesRules
from regressions.window import Candidate, Rows, candidates, creeping, segment_nights
from stats.noise import Vector
from stats.recent_shift import MOST, baselines, closeness, reach
from stats.split import best_split

SCREEN = 3.2
"""Standard errors that make the careful look worth it; far below what alpha asks for."""
LOOSER = 0.75
"""Share of SCREEN at which other windows of the same row are looked at as well."""
YOUNG = 14
"""Nights of a segment whose baseline is renewed every night; it is every week afterwards."""
SETTLED = 0.5
"""Share of a move that may be left when a series counts as back where it was."""
CLIP = 3.0
"""Standard deviations beyond the shift at which values are clipped to date it."""


class Kind(StrEnum):
    """What a night adds to the story of a series."""

    STEP = "step"
    RETURN = "return"
    SUSPECTED = "suspected"
    TRANSIENT = "transient"
    DRIFT = "drift"


@dataclass(frozen=True, kw_only=True)
class Move:
    """Something that a night showed about one series."""

    row: int
    night: int
    """Column of the night that showed it."""
    began: int
    """Column of the first night of the change."""
    kind: Kind
    found: Candidate


class Watch:
    """The state of every series between two nights."""

    def __init__(self, series: Histories, rules: SeriesRules) -> None:
        rows = len(series.values)
        self._series = replace(series, values=series.values.copy(order="F"))
        self._rules = rules
        self._start = np.zeros(rows, dtype=np.int64)
        self._kept = np.full((rows, rules.baseline_nights), np.nan)
        self._middle, self._sigma = np.zeros(rows), np.full(rows, np.inf)
        self._knows, self._drift = np.zeros(rows, dtype=np.bool_), np.zeros(rows)
        self._reach = np.full((len(rules.windows), rows), np.inf)
        self._count, self._freedom = np.zeros(rows), np.ones(rows)
        self._lasting = Lasting(rows, rules.lasting.windows)
        self._last: dict[int, Move] = {}
        self._suspects: dict[int, Move] = {}

    def night(self, night: int) -> Iterator[Move]:
        """What this night shows; to be called for every column in order."""
        self._renew(night)
        self._lasting.add(self._series.values[:, night], self._middle, self._sigma)
        if night < self._rules.windows[0]:
            return
        rows, worth = self._worth(night)
        for found in candidates(
            self._series, self._kept, self._start, rows, worth, night, self._rules
        ):
            yield from self._stepped(found, night)
        yield from self._dips(night)
        yield from self._crept(night)

    def _renew(self, night: int) -> None:
        age = night - self._start
        carries = ~np.isnan(self._kept[:, -1])
        says = (age >= self._rules.least_nights) | carries
        due = says & (age > 1) & ((age < YOUNG) | (age % WEEK == 0))
        length = self._rules.baseline_nights
        self._renew_rows(np.flatnonzero(due & carries), night, length)
        self._renew_rows(np.flatnonzero(due & ~carries), night, 0)

    def _renew_rows(self, due: Rows, night: int, carried: int) -> None:
        """carried: how many residuals of earlier segments the rows may have."""
        if not due.size:
            return
        rules = self._rules
        nights = segment_nights(self._series.values, due, self._start, night, rules.baseline_nights)
        before = baselines(
            nights, self._kept[due, :carried], rules.least_change / 4, rules.drift_caution
        )
        rows = slice(None) if len(due) == len(self._start) else due  # all rows at once, faster
        self._middle[rows], self._count[rows] = before.middle, before.count
        self._sigma[rows], self._drift[rows] = before.noise.sigma, before.noise.drift
        self._freedom[rows] = before.noise.freedom
        self._reach[:, rows] = reach(before.count, before.noise.drift, rules.windows, SCREEN)
        weekly = (night - self._start[due]) % WEEK == 0
        self._keep(rows if weekly.all() else due[weekly])
        self._knows[rows] = before.noise.nights >= rules.least_nights

    def _keep(self, rows: Rows | slice) -> None:
        """This week's baselines, for windows that will have begun now."""
        far = reach(self._count[rows], self._drift[rows], self._rules.lasting.windows, SCREEN)
        self._lasting.keep(rows, self._middle[rows], self._sigma[rows], far)

    def _worth(self, night: int) -> tuple[Rows, NDArray[np.bool_]]:
        """Rows that get the careful look, and which of their windows: windows x rows."""
        first = max(0, night + 1 - self._rules.windows[-1])
        scores = self._series.values[:, first : night + 1].T[::-1] - self._middle
        scores /= self._sigma
        np.clip(scores, -MOST, MOST, out=scores)
        scores[np.isnan(scores)] = 0.0
        near = closeness(scores, self._reach, self._rules.windows)
        close = np.concatenate([near, self._lasting.closeness()])
        tonight = self._series.values[:, night]
        rows = np.flatnonzero((close.max(axis=0) >= 1) & ~np.isnan(tonight))
        return rows, close[:, rows] >= LOOSER

    def _stepped(self, found: Candidate, night: int) -> Iterator[Move]:
        most = 2 * max(found.nights, self._rules.settle_nights)
        row, began = found.row, self._dated(found, night, most)
        before, kind = self._last.get(row), Kind.STEP
        self._suspects.pop(row, None)
        self._restart(found, began, night)
        lasted = began - before.began if before else night
        if before and lasted <= self._rules.settle_nights:
            if found.shift * before.found.shift > 0:
                return  # still the same move
            left = abs(found.shift + before.found.shift) / abs(before.found.shift)
            if left <= SETTLED and lasted <= self._rules.settle_nights / 2:
                kind = Kind.RETURN
        move = Move(row=row, night=night, began=began, kind=kind, found=found)
        self._last[row] = move
        yield move

    def _dated(self, found: Candidate, night: int, most: int) -> int:
        """Column of the first night of the change, among the last `most` nights of the segment."""
        first = max(int(self._start[found.row]), night + 1 - most)
        values = self._series.values[found.row, first : night + 1]
        limit = CLIP * found.sigma + abs(found.shift)
        middle = np.nanmedian(values)
        return first + best_split(np.clip(values, middle - limit, middle + limit))

    def _restart(self, found: Candidate, began: int, night: int) -> None:
        """A new segment that keeps the spread of the old one."""
        row, length = found.row, self._rules.baseline_nights
        known = found.pool[~np.isnan(found.pool)][-length:]
        self._lasting.forget(row)
        self._kept[row] = np.nan
        self._kept[row, length - len(known) :] = known
        self._start[row] = began
        self._middle[row] = np.nanmedian(self._series.values[row, began : night + 1])
        self._count[row], self._knows[row] = found.nights, False
        count, drift = self._count[[row]], self._drift[[row]]
        self._reach[:, [row]] = reach(count, drift, self._rules.windows, SCREEN)

    def _dips(self, night: int) -> Iterator[Move]:
        """One night far out is suspected; it was a dip if the next one is back."""
        values = self._series.values[:, night]
        away = values - self._middle
        for row, suspect in list(self._suspects.items()):
            if suspect.night < night and not np.isnan(values[row]):
                yield from self._resolved(suspect, float(away[row]), night)
        for found in self._apart(away, night):
            row, kind = found.row, Kind.SUSPECTED
            self._suspects[row] = Move(row=row, night=night, began=night, kind=kind, found=found)
            yield self._suspects[row]

    def _apart(self, away: Vector, night: int) -> Iterator[Candidate]:
        """Tonight where it alone lies too far out, and is not suspected yet. No Student's
        distribution is narrower than the normal one, which spares most rows the dearer."""
        least = np.maximum(-ndtri(self._rules.alpha / 2) * self._sigma, self._rules.least_change)
        rows = self._knows & (np.abs(away) >= least) & (self._start < night - 1)
        for row in np.flatnonzero(rows).tolist():
            if row not in self._suspects:
                found = self._one_night(row, float(away[row]))
                if found.p < self._rules.alpha:
                    yield found

    def _one_night(self, row: int, away: float) -> Candidate:
        sigma, count = float(self._sigma[row]), int(self._count[row])
        distance = away / sigma / (1 + 1 / count) ** 0.5
        p = max(2 * stdtr(self._freedom[row], -abs(distance)), np.finfo(float).tiny)
        return Candidate(
            row=row,
            nights=1,
            shift=away,
            p=float(p),
            rank_p=None,
            distance=distance,
            sigma=sigma,
            drift=float(self._drift[row]),
            count=count,
            pool=np.empty(0),
        )

    def _resolved(self, suspect: Move, away: float, night: int) -> Iterator[Move]:
        row, shift = suspect.row, suspect.found.shift
        if away * np.sign(shift) < abs(shift) / 2:
            del self._suspects[row]
            if night == suspect.night + 1:
                self._series.values[row, suspect.night] = np.nan
                yield Move(
                    row=row,
                    night=night,
                    began=suspect.night,
                    kind=Kind.TRANSIENT,
                    found=suspect.found,
                )
        elif night - suspect.night >= self._rules.settle_nights:
            del self._suspects[row]

    def _crept(self, night: int) -> Iterator[Move]:
        """The second reference: the first nights of the segment."""
        for found in creeping(self._series, self._start, night, self._rules):
            if found.row in self._suspects:
                continue
            began = self._dated(found, night, night + 1)
            self._restart(found, began, night)
            move = Move(row=found.row, night=night, began=began, kind=Kind.DRIFT, found=found)
            self._last[found.row] = move
            yield move


def replay(series: Histories, rules: SeriesRules) -> list[Move]:
    """Everything that the nights of all series show, in the order in which they show it."""
    watch = Watch(series, rules)
    return [move for night in range(series.values.shape[1]) for move in watch.night(night)]
