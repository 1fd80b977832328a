"""The cheap look at long windows: each against what its series was before it began. Pure.

A change that takes weeks to show has long been taken into the running baseline when it does. So
what the baseline was is kept from week to week, for all rows at once.
"""

from collections.abc import Sequence

import numpy as np

from regressions.window import Rows
from stats.noise import Matrix, Vector
from stats.recent_shift import MOST

WEEK = 7
"""Nights after which a baseline is kept; lasting windows are whole weeks."""


class Lasting:
    """Sums of the last weeks of every row, and its baselines of the weeks before."""

    def __init__(self, rows: int, windows: Sequence[int]) -> None:
        longest = max(windows)
        self._windows = windows
        self._middle = np.zeros((longest // WEEK + 1, rows))
        self._sigma = np.full(self._middle.shape, np.inf)
        self._reach = np.full((*self._middle.shape, len(windows)), np.inf)
        self._nights = np.zeros((longest, rows))
        self._known = np.zeros((longest, rows))
        self._sums, self._counts = np.zeros((2, len(windows), rows))
        self._at = 0

    def add(self, values: Vector, middle: Vector, sigma: Vector) -> None:
        """The next night; NaN for none. What lies far from the baseline is clipped."""
        known = ~np.isnan(values)
        limit = MOST * sigma
        night = np.where(known, np.clip(values, middle - limit, middle + limit), 0.0)
        for at, window in enumerate(self._windows):
            left = (self._at - window) % len(self._nights)
            self._sums[at] += night - self._nights[left]
            self._counts[at] += known - self._known[left]
        now = self._at % len(self._nights)
        self._nights[now], self._known[now] = night, known
        self._at += 1

    def keep(self, rows: Rows | slice, middle: Vector, sigma: Vector, reach: Matrix) -> None:
        """The baselines of this week. reach: windows x rows, sums of scores worth a look."""
        for kept, own in ((self._middle, middle), (self._sigma, sigma), (self._reach, reach.T)):
            kept[1:, rows] = kept[:-1, rows]
            kept[0, rows] = own

    def forget(self, row: int) -> None:
        """The row has another level now: no earlier baseline counts."""
        self._sigma[:, row] = np.inf

    def closeness(self) -> Matrix:
        """windows x rows: each window's sum of scores over its reach, as stats.recent_shift's."""
        close = np.zeros(self._sums.shape)
        for at, window in enumerate(self._windows):
            if self._at <= window:
                continue  # nothing was before it
            week = window // WEEK
            away = np.abs(self._sums[at] - self._counts[at] * self._middle[week])
            close[at] = away / (self._sigma[week] * self._reach[week, :, at])
        return close
