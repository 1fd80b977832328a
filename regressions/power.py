"""What the judgement of a night can see in each series, and what it would take to see more. Pure.

A night's level scatters around that of its neighbours, and its trials scatter around it. More
trials make only the second smaller. Changes are relative and signed, to the worse side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import expm1, log1p, sqrt

import numpy as np
from scipy.stats import chi2, norm

from regressions.histories import night_values, within_variance
from regressions.policy import Policy
from schema.metrics import METRICS, Direction
from schema.nights import NightKind
from schema.store.values import Value
from schema.trials import Arm
from stats.noise import noise_floor
from stats.power import EFFICIENCY, smallest_change

CHANCE = 0.8
"""With which a change counts as seen."""
LEAST_NIGHTS = 5
"""Nights of a series from which the scatter of its nights is told."""
MOST_TRIALS = 20
"""A night and side: what more trials could do is tried up to here."""
KINDS = {Arm.NIGHTLY: NightKind.NIGHTLY, Arm.RELEASE_CONTENDER: NightKind.RELEASE}

Group = tuple[str, Arm]
"""Name of a night, and an arm: trials that share everything but their launch."""
Table = Mapping[Group, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Relative standard deviations of a series while nothing changes, in spite of steps."""

    trial: float
    """Of a trial around its night."""
    night: float | None
    """Of a night's level around those beside it; None while too few nights are known."""

    def of_mean(self, trials: int) -> float:
        """Of the mean of a night's trials; their own scatter alone where the nights' is unknown."""
        return sqrt(self.trial**2 / trials + (self.night or 0.0) ** 2)


@dataclass(frozen=True, kw_only=True)
class SeriesPower:
    """What a series shows from the next night on."""

    cell: str
    """Key of the cell."""
    metric: str
    kind: NightKind
    """Nightly, where one of the latest nights was."""
    trials: int
    """A side in the newest night of that kind."""
    nights: int
    """That its baseline has."""
    scatter: Scatter | None
    """None where no night has two trials, or a value is not above 0."""
    min_change: float
    """Below it a change matters to nobody."""
    min_trials: int
    alpha: float
    """Of a series that moves alone, corrected for the cells of the night."""

    def smallest(self, trials: int, nights: int = 1) -> float | None:
        """The change that so many trials a side show with CHANCE in one of so many nights.

        To be told, its estimate must also reach `min_change`; both depend on the same estimate, so
        the rarer one decides. Never below `min_change`, though noise may lift a smaller one over
        it. None if none can be shown. Nights count as independent.
        """
        baseline = self.nights * trials
        chance = 1 - (1 - CHANCE) ** (1 / nights)
        distance = _distance(baseline, trials, self.alpha, chance)
        if self.scatter is None or distance is None or trials < self.min_trials:
            return None
        noise = self.scatter.of_mean(trials) * sqrt(trials)
        error = noise * sqrt((1 / baseline + 1 / trials) / EFFICIENCY)
        matters = abs(log1p(self._worse * self.min_change))
        beyond = max(0.0, float(norm.ppf(chance))) * error
        return self._change(max(distance * noise, matters + beyond))

    def nights_to_see(self, change: float, trials: int) -> int | None:
        """The nights after which such a change was seen with CHANCE; None for never."""
        for nights in range(1, self.most_nights + 1):
            smallest = self.smallest(trials, nights)
            if smallest is not None and abs(smallest) <= abs(change):
                return nights
        return None

    def more(self, change: float) -> tuple[int, int] | None:
        """The fewest further trials a side that show a change sooner, and the nights it then takes.

        None where it is seen in the first night already, and where no MOST_TRIALS help.
        """
        now = self.nights_to_see(change, self.trials) or self.most_nights + 1
        for trials in range(self.trials + 1, MOST_TRIALS + 1):
            nights = self.nights_to_see(change, trials)
            if nights is not None and nights < now:
                return trials - self.trials, nights
        return None

    @property
    def most_nights(self) -> int:
        """Half of the baseline: then it is made of the change as much as of what was before."""
        return (self.nights + 1) // 2

    @property
    def mattering(self) -> float:
        """Twice the least change that matters: a change of just that is told half of the time."""
        return self._worse * 2 * self.min_change

    @property
    def is_judgeable(self) -> bool:
        """Whether these sizes show any change at all."""
        return self.smallest(self.trials) is not None

    @property
    def is_too_noisy(self) -> bool:
        """Whether these sizes would do, and even twice what matters goes by unseen."""
        return self.is_judgeable and self.nights_to_see(self.mattering, self.trials) is None

    @property
    def _worse(self) -> int:
        return -1 if METRICS[self.metric].direction is Direction.HIGHER else 1

    def _change(self, shift: float) -> float:
        return expm1(self._worse * shift)


@lru_cache(maxsize=10_000)
def _distance(m: int, n: int, alpha: float, chance: float) -> float | None:
    return smallest_change(m, n, noise=1.0, alpha=alpha, chance=chance)


def series_power(values: Sequence[Value], policy: Policy) -> list[SeriesPower]:
    """Of every judged series in which there is noise, from valid trials of the latest nights."""
    tables: dict[tuple[str, str], dict[Group, list[float]]] = {}
    for one in values:
        if one.metric in policy.min_change and one.metric not in policy.exact:
            groups = tables.setdefault((one.cell, one.metric), {})
            groups.setdefault((one.night, one.arm), []).append(one.value)
    newest = {
        key: max(own, key=lambda group: (group[1] is Arm.NIGHTLY, group))
        for key, table in tables.items()
        if (own := [group for group in table if group[1] in KINDS])
    }
    together = {group[0]: set[str]() for group in newest.values()}
    for (cell, _), (night, _) in newest.items():
        together[night].add(cell)
    return [
        _power(key, tables[key], group, len(together[group[0]]), policy)
        for key, group in newest.items()
    ]


def _power(
    key: tuple[str, str], table: Table, newest: Group, cells: int, policy: Policy
) -> SeriesPower:
    kind = KINDS[newest[1]]
    nights = sum(arm is Arm.NIGHTLY for _, arm in table) if kind is NightKind.NIGHTLY else 1
    window = policy.baseline_nights if kind is NightKind.NIGHTLY else 1
    return SeriesPower(
        cell=key[0],
        metric=key[1],
        kind=kind,
        trials=len(table[newest]),
        nights=min(nights, window),
        scatter=_scatter(table),
        min_change=policy.min_change[key[1]],
        min_trials=policy.min_trials,
        alpha=min(policy.alpha, policy.q / cells),
    )


def _scatter(table: Table) -> Scatter | None:
    """A night's variance, divided by the median of its distribution, is too large as often as too
    small; the median over the nights is not moved by a few broken ones."""
    groups = sorted(table)
    trials = np.full((1, len(groups), max(map(len, table.values()))), np.nan)
    for column, group in enumerate(groups):
        trials[0, column, : len(table[group])] = table[group]
    if np.nanmin(trials) <= 0:
        return None
    logs = np.log(trials)
    count = (~np.isnan(logs)).sum(axis=2)
    freedom = np.maximum(count - 1, 1)
    variance = within_variance(logs) / (chi2.median(freedom) / freedom)
    if np.isnan(variance).all():
        return None
    own = float(np.nanmedian(variance))
    nightly = np.array([arm is Arm.NIGHTLY for _, arm in groups])
    night = None
    if nightly.sum() >= LEAST_NIGHTS:
        shared = float(np.median(own / count[:, nightly]))
        [floor] = noise_floor(night_values(logs)[:, nightly])
        night = sqrt(max(0.0, float(floor) ** 2 - shared))
    return Scatter(trial=sqrt(own), night=night)
