"""A night's judgement from the database and back into it."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from regressions.evidence import CONTENDER, Evidence, compare_night
from regressions.judge import judge
from regressions.policy import Policy
from schema.judgements import Judgement
from schema.nights import Night, NightKind
from schema.store.judgements import record_judgements
from schema.store.nights import night
from schema.store.trials import trial, trials_of_night
from schema.store.values import Value, not_estimable, values_before, values_of_night
from schema.trials import Arm, Host


def judge_night(session: Session, night_name: str, policy: Policy) -> list[Judgement]:
    """Judge a night and record what was concluded, in place of what was concluded before.

    Raises schema.store.nights.UnknownNight. The caller owns the transaction.
    """
    evidence = read_evidence(session, night(session, night_name), policy)
    judgements = judge(compare_night(evidence, policy), policy)
    record_judgements(session, night_name, judgements)
    return judgements


def read_evidence(session: Session, plan: Night, policy: Policy) -> Evidence:
    """What the night's judgement looks at; trials of cells outside the plan are left out."""
    tonight = values_of_night(session, plan.name)
    contender = [value for value in tonight if value.arm is CONTENDER[plan.kind]]
    if plan.kind is NightKind.RELEASE:
        baseline = [value for value in tonight if value.arm is Arm.RELEASE_BASELINE]
    else:
        keys = [cell.key for cell in plan.cells]
        baseline = values_before(session, keys, plan.name, policy.baseline_nights)
    return Evidence(
        night=plan,
        baseline=baseline,
        contender=contender,
        trials=trials_of_night(session, plan.name),
        not_estimable=not_estimable(session, plan.name),
        hosts=_hosts(session, [*baseline, *contender]),
    )


def _hosts(session: Session, values: Sequence[Value]) -> dict[str, Host]:
    """Each host once, by way of any trial that ran on it."""
    trials = {value.host: value.trial for value in values}
    return {fingerprint: trial(session, key).host for fingerprint, key in trials.items()}
