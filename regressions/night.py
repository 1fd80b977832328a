"""A night's judgement from the database and back into it, with its episodes."""

from sqlalchemy.orm import Session

from regressions.chronicle import go_through, take_back_stored
from regressions.evidence import compare_night
from regressions.judge import judge
from regressions.policy import Policy
from regressions.reading import read_evidence
from regressions.silent import judge_control
from schema.judgements import Judgement
from schema.store.judgements import record_judgements
from schema.store.nights import night


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
