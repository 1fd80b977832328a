"""Judgements that are told to nobody: of the control arm, and of a policy in shadow.

The control arm runs one pinned build night after night. Set against itself on the same host, every
change it shows is a false alarm: that is how honest the policy is. A policy in shadow judges what
was measured beside the one in force, with the same last good levels; no episode is opened and
nothing is announced, so that its verdicts can be read before it is switched on.
"""

from dataclasses import replace

from sqlalchemy.orm import Session

from regressions.evidence import CONTENDER, Evidence, compare_night
from regressions.judge import judge
from regressions.policy import Policy
from regressions.reading import read_evidence
from schema.store.nights import night
from schema.store.silent import record_silent
from schema.trials import Arm


def against_itself(evidence: Evidence) -> Evidence:
    """Tonight's control arm against that of earlier nights, of the same build on the same host."""
    tonight = {(one.cell, one.build, one.host) for one in evidence.control}
    before = [one for one in evidence.control_before if (one.cell, one.build, one.host) in tonight]
    known = {one.cell for one in before}
    cells = tuple(cell for cell in evidence.night.cells if cell.key in known)
    return replace(
        evidence,
        night=evidence.night.model_copy(update={"cells": cells}),
        baseline=before,
        contender=[one for one in evidence.control if one.cell in known],
        trials=(),
        not_estimable=(),
        control=(),
        control_before=(),
    )


def judge_control(session: Session, evidence: Evidence, policy: Policy) -> None:
    """Keep what the policy says of the night's control arm."""
    judgements = judge(compare_night(against_itself(evidence), policy), policy)
    record_silent(session, evidence.night.name, policy.key, Arm.CONTROL, judgements)


def judge_in_shadow(session: Session, name: str, policy: Policy) -> None:
    """Keep what another policy than the one in force says of a night and of its control arm.

    Raises schema.store.nights.UnknownNight. The caller owns the transaction.
    """
    plan = night(session, name)
    evidence = read_evidence(session, plan, policy)
    judgements = judge(compare_night(evidence, policy), policy)
    record_silent(session, plan.name, policy.key, CONTENDER[plan.kind], judgements)
    judge_control(session, evidence, policy)
