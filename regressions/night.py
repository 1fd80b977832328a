"""A night's judgement, its episodes and its confirmations, from the database and back into it."""

import logging

from sqlalchemy.orm import Session

from regressions.chronicle import go_through, take_back_stored
from regressions.confirmation_plan import Means, confirmations, scatter_of
from regressions.evidence import compare_night
from regressions.judge import judge
from regressions.policy import Policy, read_policy, read_shadow_policy
from regressions.reading import read_evidence
from regressions.silent import judge_control, judge_in_shadow
from schema.confirmations import Confirmation
from schema.judgements import Judgement
from schema.session import writing
from schema.store.confirmations import confirmations as stored_confirmations
from schema.store.confirmations import record_confirmations
from schema.store.episodes import episodes, take_turns
from schema.store.judgements import judgements, record_judgements
from schema.store.launches import launch_seconds
from schema.store.nights import night

log = logging.getLogger(__name__)


def judge_night(session: Session, night_name: str, policy: Policy) -> list[Judgement]:
    """Judge a night and record what was concluded, in place of what was concluded before.

    Episodes are brought up to date with it. Later nights whose last good level that changes are
    judged again too. What the control arm shows is kept silently. Raises
    schema.store.nights.UnknownNight. The caller owns the transaction.
    """
    night(session, night_name)
    taken = take_back_stored(session, night_name)

    def judged(name: str) -> list[Judgement]:
        plan = night(session, name)
        evidence = read_evidence(session, plan, policy)
        judgements = judge(compare_night(evidence, policy), policy)
        record_judgements(session, name, judgements)
        judge_control(session, evidence, policy)
        return judgements

    return go_through(session, taken, night_name, policy, judged)


def judge_by_both(night_name: str, url: str | None = None) -> list[Judgement]:
    """What the policy in force concludes of a night; then, silently, what the one in shadow does.

    Each in a transaction of its own: a shadow must not stand in the way of what is told. Raises
    schema.documents.BadDocument of either policy, and schema.store.nights.UnknownNight.
    """
    with writing(url) as session:
        judgements = judge_night(session, night_name, read_policy())
    for one in judgements:
        log.info("%s %s: %s", one.comparison.metric, one.verdict, one.reason)
    if shadow := read_shadow_policy():
        with writing(url) as session:
            judge_in_shadow(session, night_name, shadow)
        log.info("judged in shadow by policy %s", shadow.key)
    return judgements


def plan_confirmations(
    session: Session, night_name: str, policy: Policy
) -> tuple[Confirmation, ...]:
    """What a judged night does about its suspicions; made once and kept, whatever is judged since.

    Raises schema.store.nights.UnknownNight. The caller owns the transaction.
    """
    plan = night(session, night_name)
    take_turns(session)
    if kept := stored_confirmations(session, night_name):
        return tuple(kept)
    cards = {cell.key: cell.family.devices for cell in plan.cells}
    seconds = launch_seconds(session, night_name)
    means = Means(
        minutes={
            cell: taken * cards[cell] / 60 for cell, taken in seconds.items() if cell in cards
        },
        scatter=scatter_of(judgements(session, night_name)),
        policy=policy,
    )
    planned = confirmations(episodes(session, everything=False), plan, means)
    record_confirmations(session, planned)
    return planned
