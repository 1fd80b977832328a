"""How honest and how dear the detector is: false alarms, and GPU-hours per decision. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scipy.stats import binomtest

from schema.judgements import Verdict
from schema.store.costs import LaunchCost
from schema.store.nights import NightSummary
from schema.store.silent import SilentVerdict, TwoVerdicts
from stats.correction import simes

MOVED = (Verdict.REGRESSION, Verdict.IMPROVEMENT)


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """What a policy said of the control arm, where nothing had changed.

    The trial of a cell is shared by its metrics, so comparisons of one night are not independent:
    the rate and its interval count nights.
    """

    nights: int
    """In which something of the control arm could be judged."""
    comparisons: int
    """That could be judged in them."""
    alarms: tuple[SilentVerdict, ...]
    ps: tuple[tuple[str, float], ...]
    """Each tested night and the p of all its comparisons together (Simes), oldest first."""

    @property
    def nights_with_alarm(self) -> int:
        return len({one.night for one in self.alarms})

    @property
    def rate(self) -> float | None:
        """Share of the nights with an alarm; None without any night."""
        return self.nights_with_alarm / self.nights if self.nights else None

    def interval(self, confidence: float) -> tuple[float, float]:
        """Exact interval of the rate: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934)
        404-413. 0 to 1 without any night."""
        if not self.nights:
            return 0.0, 1.0
        found = binomtest(self.nights_with_alarm, self.nights)
        ends = found.proportion_ci(confidence_level=confidence, method="exact")
        return float(ends.low), float(ends.high)


def false_alarms(verdicts: Sequence[SilentVerdict]) -> FalseAlarms:
    """Of the control arm's verdicts, oldest night first."""
    judged = [
        one
        for one in verdicts
        if one.p_adjusted is not None or one.verdict is not Verdict.INCONCLUSIVE
    ]
    ps: dict[str, list[float]] = {}
    for one in judged:
        if one.p is not None and one.p_adjusted is not None:
            ps.setdefault(one.night, []).append(one.p)
    return FalseAlarms(
        nights=len({one.night for one in judged}),
        comparisons=len(judged),
        alarms=tuple(one for one in judged if one.verdict in MOVED),
        ps=tuple((night, simes(own)) for night, own in ps.items()),
    )


@dataclass(frozen=True, kw_only=True)
class NightCost:
    """What a night used and what it decided."""

    night: str
    launches: int
    hours: float
    """GPU-hours; of hosts without a GPU, hours."""
    lost_hours: float
    """Of them in launches without a valid trial."""
    decided: int
    """Comparisons that ended with a regression, an improvement or no change."""
    undecided: int

    @property
    def hours_per_decision(self) -> float | None:
        return self.hours / self.decided if self.decided else None


def night_costs(launches: Sequence[LaunchCost], nights: Sequence[NightSummary]) -> list[NightCost]:
    """A line for each night that launched something, in the order of `nights`."""
    found = []
    for night in nights:
        own = [one for one in launches if one.night == night.name]
        undecided = night.verdicts[Verdict.INCONCLUSIVE]
        if own:
            cost = NightCost(
                night=night.name,
                launches=len(own),
                hours=sum(one.hours for one in own),
                lost_hours=sum(one.hours for one in own if not one.valid_trials),
                decided=sum(night.verdicts.values()) - undecided,
                undecided=undecided,
            )
            found.append(cost)
    return found


def hours_a_launch(launches: Sequence[LaunchCost]) -> dict[str, float]:
    """GPU-hours of one launch of each family, the median of those that had a valid trial."""
    hours: dict[str, list[float]] = {}
    for one in launches:
        if one.valid_trials:
            hours.setdefault(one.family, []).append(one.hours)
    return {family: median(own) for family, own in hours.items()}


def crossed(both: Sequence[TwoVerdicts]) -> Mapping[tuple[Verdict, Verdict], int]:
    """How often a verdict that was told meets each verdict of the shadow."""
    counts: dict[tuple[Verdict, Verdict], int] = {}
    for one in both:
        counts[one.told, one.shadow] = counts.get((one.told, one.shadow), 0) + 1
    return counts
