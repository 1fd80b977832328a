"""What the judgements of a night look at, from the database."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from regressions.causes import Moved, causes
from regressions.evidence import CONTENDER, Evidence, compare_night
from regressions.judge import judge
from regressions.policy import Policy
from regressions.segments import carried
from regressions.tonight import Confirmed
from schema.episodes import Episode
from schema.hosts import Host
from schema.judgements import Judgement
from schema.nights import Night, NightKind
from schema.store.cells import builds as stored_builds
from schema.store.confirmations import confirmations
from schema.store.episodes import accepted_levels, last_moved
from schema.store.trials import trial, trials_of_night
from schema.store.values import (
    Value,
    not_estimable,
    values_before,
    values_between,
    values_of_night,
)
from schema.trials import Arm, Build


def read_evidence(session: Session, plan: Night, policy: Policy) -> Evidence:
    """What the night's judgement looks at; trials of cells outside the plan are left out."""
    tonight = values_of_night(session, plan.name)
    contender = _of(tonight, CONTENDER[plan.kind])
    levels: dict[str, list[str]] = {}
    before: list[Value] = []
    if plan.kind is NightKind.RELEASE:
        baseline = _of(tonight, Arm.RELEASE_BASELINE)
    else:
        keys = [cell.key for cell in plan.cells]
        levels = accepted_levels(session, keys)
        baseline, before = (
            carried(values_before(session, keys, plan.name, policy.baseline_nights, (arm,)), levels)
            for arm in (Arm.NIGHTLY, Arm.CONTROL)
        )
    return Evidence(
        night=plan,
        baseline=baseline,
        contender=contender,
        trials=trials_of_night(session, plan.name),
        not_estimable=not_estimable(session, plan.name),
        hosts=_hosts(session, [*baseline, *contender]),
        builds=_builds(session, [*baseline, *contender]),
        control=_of(tonight, Arm.CONTROL),
        control_before=before,
        levels=levels,
    )


def read_since(
    session: Session, plan: Night, episodes: Sequence[Episode], policy: Policy
) -> tuple[list[Judgement], list[Moved]]:
    """Cells of open episodes against their own bad level: better is a recovery, worse a further
    step. The nights since the last one that was seen bad count together with tonight.
    """
    begun = _bad_since(episodes)
    cells = tuple(cell for cell in plan.cells if cell.key in begun)
    if plan.kind is not NightKind.NIGHTLY or not cells:
        return [], []
    keys = [cell.key for cell in cells]
    seen = last_moved(session, keys, plan.name)
    values = [
        one
        for one in values_between(session, keys, min(begun.values()), plan.name)
        if one.night >= begun[one.cell]
    ]
    bad: list[Value] = []
    fresh: list[Value] = []
    for one in values:
        last = max(begun[one.cell], seen.get(one.cell, ""))
        (bad if one.night <= last else fresh).append(one)
    evidence = Evidence(
        night=plan.model_copy(update={"cells": cells}),
        baseline=_of(bad, Arm.NIGHTLY),
        contender=_of(fresh, Arm.NIGHTLY),
        trials=(),
        not_estimable=(),
        hosts=_hosts(session, values),
        builds=_builds(session, values),
        control=_of(fresh, Arm.CONTROL),
        control_before=_of(bad, Arm.CONTROL),
    )
    found = judge(compare_night(evidence, policy), policy)
    return found, causes(evidence, found, policy)


def read_confirmed(session: Session, plan: Night, policy: Policy) -> Confirmed:
    """What the trials show that were made in the night to confirm suspicions."""
    planned = {one.episode: one for one in confirmations(session, plan.name)}
    tonight = values_of_night(session, plan.name)
    baseline, contender = (
        _of(tonight, arm) for arm in (Arm.CONFIRM_BASELINE, Arm.CONFIRM_CONTENDER)
    )
    measured = {one.cell for one in (*baseline, *contender)}
    cells = tuple(cell for cell in plan.cells if cell.key in measured)
    if not cells:
        return Confirmed(planned=planned)
    keys = [cell.key for cell in cells]
    before = values_before(session, keys, plan.name, policy.baseline_nights)
    known = carried(before, accepted_levels(session, keys))
    in_turns, levels = (
        Evidence(
            night=plan.model_copy(update={"cells": cells}),
            baseline=first,
            contender=second,
            trials=(),
            not_estimable=(),
            hosts=_hosts(session, [*first, *second]),
            builds=_builds(session, [*first, *second]),
        )
        for first, second in ((baseline, contender), (known, baseline))
    )
    return Confirmed(
        planned=planned,
        in_turns=judge(compare_night(in_turns, policy), policy),
        levels=judge(compare_night(levels, policy), policy),
        evidence=levels,
    )


def _bad_since(episodes: Sequence[Episode]) -> dict[str, str]:
    """The night from which the present level of each cell of an open episode holds."""
    begun: dict[str, str] = {}
    for episode in episodes:
        first: dict[str, str] = {}
        for one in episode.members if episode.is_open else ():
            if one.kind is NightKind.NIGHTLY:
                first[one.cell] = min(one.night, first.get(one.cell, one.night))
        for cell, night in first.items():
            begun[cell] = max(night, episode.spells[-1].begun, begun.get(cell, night))
    return begun


def _of(values: Sequence[Value], arm: Arm) -> list[Value]:
    return [value for value in values if value.arm is arm]


def _hosts(session: Session, values: Sequence[Value]) -> dict[str, Host]:
    """Each host once, by way of any trial that ran on it."""
    trials = {value.host: value.trial for value in values}
    return {fingerprint: trial(session, key).host for fingerprint, key in trials.items()}


def _builds(session: Session, values: Sequence[Value]) -> dict[str, Build]:
    return {own.key: own for own in stored_builds(session, {value.build for value in values})}
