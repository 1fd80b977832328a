"""What a document of measurements is made from: everything read once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from dashboard.experts import Chosen, trials_of
from dashboard.experts import chosen as chosen_of
from dashboard.levels import Level, levels_of
from regressions.policy import Policy
from schema.cells import Cell
from schema.hosts import Host
from schema.judgements import Judgement
from schema.nights import Night
from schema.store.cells import cells
from schema.store.judgements import judgements
from schema.store.launches import launch_commands
from schema.store.nights import NightSummary, cells_without_trials, night, nights
from schema.store.requests import requests
from schema.store.selections import selections
from schema.store.trials import TrialSummary, trial, trials_of_night
from schema.store.values import values_of_latest
from schema.trials import TrialState
from tailwatch.measurements.gaps import Within, within

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The latest nights, oldest first, and all that they measured."""

    nights: Sequence[NightSummary]
    plans: Mapping[str, Night]
    """By the name of a night."""
    levels: Sequence[Level]
    within: Mapping[str, Within]
    """What the requests of a trial say beyond its metrics, by the trial's key."""
    trials: Mapping[str, TrialSummary]
    """Every one by key, whatever its state."""
    untried: Mapping[str, Sequence[Cell]]
    """By night: planned and never tried."""
    hosts: Mapping[str, Host]
    """By fingerprint."""
    commands: Mapping[str, Sequence[tuple[str, ...]]]
    """By the name of a build: what each of its launches was started with."""
    judgements: Mapping[str, Sequence[Judgement]]
    """By night."""
    slugs: Mapping[str, str]
    """By the key of a cell."""
    chosen: Sequence[Chosen]
    """Experts, where an engine returned them."""
    policy: Policy

    @property
    def left_out(self) -> list[TrialSummary]:
        """Trials whose numbers enter nothing."""
        return [own for own in self.trials.values() if own.state is not TrialState.VALID]

    def means(self, level: Level) -> list[float]:
        """Mean gap between tokens of each trial whose requests are still there, s."""
        return [self.within[key].itl_mean for key in level.trials if key in self.within]


def find(session: Session, policy: Policy, latest: int, tell: Tell) -> Found:
    """Read the latest nights with every request of theirs."""
    kept = nights(session, limit=latest)[::-1]
    trials = {own.key: own for one in kept for own in trials_of_night(session, one.name)}
    known = {own.key: own for own in cells(session)}
    values = values_of_latest(session, list(known), latest)
    levels = levels_of(values, known)
    counted = [key for level in levels for key in level.trials]
    tell(f"reading the requests of {len(counted)} trials")
    sent = {key: within(requests(session, key)) for key in counted}
    return Found(
        nights=kept,
        plans={own.name: night(session, own.name) for own in kept},
        levels=levels,
        within={key: own for key, own in sent.items() if own is not None},
        trials=trials,
        untried={own.name: cells_without_trials(session, own.name) for own in kept},
        hosts=_hosts(session, trials),
        commands=_commands(session, trials),
        judgements={own.name: judgements(session, own.name) for own in kept},
        slugs={key: own.slug for key, own in known.items()},
        chosen=chosen_of(values, known, selections(session, trials_of(values))),
        policy=policy,
    )


def _hosts(session: Session, trials: Mapping[str, TrialSummary]) -> dict[str, Host]:
    one_each = {own.fingerprint: key for key, own in trials.items()}
    return {fingerprint: trial(session, key).host for fingerprint, key in one_each.items()}


def _commands(
    session: Session, trials: Mapping[str, TrialSummary]
) -> dict[str, list[tuple[str, ...]]]:
    builds = {own.launch: own.build_name for own in trials.values()}
    found: dict[str, list[tuple[str, ...]]] = {}
    known = launch_commands(session, builds)
    for launch, build in builds.items():
        found.setdefault(build, []).append(known[launch])
    return found
