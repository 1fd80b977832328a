"""Which suspicions are confirmed tonight, by which launches, and what they may take. Pure.

The most severe one first: launches of the last good build and tonight's, on one cell that stands
for all that the episode moved. So many that they decide either way: that the change shows, or that
the interval leaves out half of it. Every suspicion gets an answer, be it why nothing is launched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log1p
from statistics import stdev

from regressions.compare import relative
from regressions.policy import Policy
from regressions.sentences import counted
from regressions.tonight import place
from schema.confirmations import Confirmation
from schema.episodes import Episode, EpisodeState, Member
from schema.judgements import Judgement, Verdict
from schema.nights import Night, NightKind
from schema.trials import BuildSpec
from stats.power import power
from stats.rank_test import trials_needed

HALF = 0.5
"""The share of a change that an interval has to leave out before the change is denied."""
CHANCE = 0.8
"""That the launches decide."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A suspected episode and what may be launched for it."""

    episode: Episode
    members: tuple[Member, ...]
    """What got worse in cells of tonight, the most severe first; at least one."""
    builds: tuple[BuildSpec, BuildSpec]
    """Last good and tonight's."""
    severity: float
    """The largest change, in units of the least that matters."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What there is to plan with."""

    minutes: Mapping[str, float]
    """GPU-minutes of one launch by cell, as tonight's launches took them."""
    scatter: Mapping[tuple[str, str], float]
    """Standard deviation of one trial of a cell's metric before tonight, relative."""
    policy: Policy

    def budget_left(self, spent: float) -> float:
        return max(0.0, self.policy.confirm.gpu_minutes - spent)


def confirmations(
    episodes: Sequence[Episode], plan: Night, means: Means
) -> tuple[Confirmation, ...]:
    """One for each suspected regression of the night, in the order in which they are made.

    An episode whose cell is measured for an earlier one anyway, with the same builds, shares it.
    """
    asked = suspicions(episodes, plan, means.policy)
    alpha = min(means.policy.alpha, means.policy.q / max(1, len(asked)))
    planned: list[Confirmation] = []
    for suspicion in asked:
        shared = _shared(suspicion, planned)
        planned.append(shared or _planned(suspicion, plan.name, planned, alpha, means))
    return tuple(planned)


def _planned(
    suspicion: Suspicion,
    night: str,
    planned: Sequence[Confirmation],
    alpha: float,
    means: Means,
) -> Confirmation:
    member, launches, reason = _answer(suspicion, planned, alpha, means)
    plain = Confirmation(night=night, episode=suspicion.episode.key, reason=reason)
    if member is None:
        return plain
    good, tonight = map(str, suspicion.builds)
    made = {"cell": member.cell, "builds": (good, tonight), "launches": launches}
    minutes = 2 * launches * means.minutes[member.cell]
    return plain.model_copy(update={**made, "gpu_minutes": minutes})


def suspicions(episodes: Sequence[Episode], plan: Night, policy: Policy) -> list[Suspicion]:
    """Suspected regressions that tonight's cells can speak about, the most severe first.

    An improvement is left to the next night: nobody has to act on it.
    """
    found = (_suspicion(one, plan, policy) for one in episodes)
    asked = [one for one in found if one is not None]
    return sorted(asked, key=lambda one: (-one.severity, one.episode.key))


def _suspicion(episode: Episode, plan: Night, policy: Policy) -> Suspicion | None:
    """None where there is nothing to confirm. A host moves several engines: one of them stands for
    all, that of the builds which the episode names."""
    engine, _, version = episode.cause.builds[0].partition(" ")
    good = BuildSpec.parse(f"{engine}=={version}")
    builds = {build.engine: build for build in map(BuildSpec.parse, plan.contenders)}
    cells = {cell.key for cell in plan.cells if cell.family.engine is good.engine}
    worse = [
        one
        for one in episode.members
        if one.kind is NightKind.NIGHTLY and one.verdict is Verdict.REGRESSION
        if one.cell in cells and good.engine in builds
    ]
    if episode.state is not EpisodeState.SUSPECTED or not worse:
        return None
    worse.sort(key=lambda one: (-_severity(one, policy), one.cell, one.metric))
    return Suspicion(
        episode=episode,
        members=tuple(worse),
        builds=(good, builds[good.engine]),
        severity=_severity(worse[0], policy),
    )


def scatter_of(judgements: Sequence[Judgement]) -> dict[tuple[str, str], float]:
    """Standard deviation of the baselines' trials, relative, by cell and metric."""
    found = {}
    for one in judgements:
        values = one.comparison.baseline.values
        scale = relative(values, values) if len(values) > 1 else None
        if scale is not None:
            found[place(one)] = stdev(scale.baseline)
    return found


def launches_needed(member: Member, scatter: float | None, alpha: float, most: int) -> int:
    """Of each build, to show the change or to deny half of it in four of five cases.

    At least what can reach alpha at all, at most `most`, which is taken where the scatter is not
    known.
    """
    least = trials_needed(alpha)
    change = 0.0 if member.change <= -1 else abs(log1p(member.change)) * HALF
    if scatter == 0:
        return least
    if scatter is None or change == 0:
        return max(least, most)
    sizes = range(least, max(least, most))
    return next(
        (n for n in sizes if power(n, n, change=change, noise=scatter, alpha=alpha) >= CHANCE),
        max(least, most),
    )


def _severity(member: Member, policy: Policy) -> float:
    return abs(member.change) / policy.min_change[member.metric]


def _shared(suspicion: Suspicion, planned: Sequence[Confirmation]) -> Confirmation | None:
    cells = {one.cell for one in suspicion.members}
    builds = (str(suspicion.builds[0]), str(suspicion.builds[1]))
    for one in planned:
        if one.launches and one.cell in cells and one.builds == builds:
            why = f"measured with episode {one.episode}: {one.reason}"
            own = {"episode": suspicion.episode.key, "gpu_minutes": 0.0, "reason": why}
            return one.model_copy(update=own)
    return None


def _answer(
    suspicion: Suspicion, planned: Sequence[Confirmation], alpha: float, means: Means
) -> tuple[Member | None, int, str]:
    """The member to measure, launches of each build, and why so; no member where none are made."""
    good, tonight = suspicion.builds
    if good == tonight:
        why = f"{good} is the last good build and tonight's, so no two can run in turns"
        return None, 0, f"not confirmed: {why}"
    taken = {one.cell for one in planned}
    free = (one for one in suspicion.members if one.cell not in taken)
    member = next((one for one in free if one.cell in means.minutes), None)
    if member is None:
        return None, 0, "not confirmed: no cell of it is free that tonight's launches measured"
    scatter, most = means.scatter.get((member.cell, member.metric)), means.policy.confirm.launches
    wanted, least = launches_needed(member, scatter, alpha, most), trials_needed(alpha)
    spent, minutes = sum(one.gpu_minutes for one in planned), 2 * means.minutes[member.cell]
    launches = min(wanted, floor(means.budget_left(spent) / minutes))
    if launches < least:
        return None, 0, f"not confirmed: {_too_dear(least, minutes, spent, means.policy)}"
    text = f"{launches} v {launches} launches of {good} and {tonight} in turns"
    if launches < wanted:
        text += f"; {wanted} v {wanted} would decide more surely, beyond the budget"
    took = counted(round(launches * minutes), "GPU-minute")
    return member, launches, f"{text}; about {took}"


def _too_dear(least: int, minutes: float, spent: float, policy: Policy) -> str:
    budget = f"budget of {policy.confirm.gpu_minutes:g} GPU-minutes"
    needs = f"{least} v {least} launches take about {least * minutes:.0f}"
    if spent:
        return f"{budget} spent, {spent:.0f} of them on what is more severe; {needs}"
    return f"{budget} is too small: {needs}"
