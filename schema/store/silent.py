"""Silent verdicts: kept beside those of a night, and told to nobody."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, delete, func, insert, select
from sqlalchemy.orm import Session

from schema.judgements import Judgement, Verdict
from schema.tables import CellRow, ComparisonRow, NightRow, SilentVerdictRow, VerdictRow
from schema.trials import Arm


@dataclass(frozen=True, kw_only=True)
class SilentVerdict:
    """What a policy concluded about one metric of one cell in one night."""

    night: str
    cell: str
    """Key of the cell."""
    metric: str
    verdict: Verdict
    reason: str
    change: float | None
    p: float | None
    p_adjusted: float | None
    """None where nothing could be tested."""


@dataclass(frozen=True, kw_only=True)
class ShadowSummary:
    """How far one policy has judged in shadow."""

    policy: str
    """Its hash."""
    nights: int
    last_night: str


@dataclass(frozen=True, kw_only=True)
class TwoVerdicts:
    """One comparison of a night as it was told, and as the policy in shadow has it."""

    night: str
    cell: str
    """Key of the cell."""
    cell_slug: str
    metric: str
    told: Verdict
    told_reason: str
    shadow: Verdict
    shadow_reason: str


def record_silent(
    session: Session, night: str, policy: str, arm: Arm, judgements: Sequence[Judgement]
) -> None:
    """Replace what a policy concluded silently about an arm of a night."""
    own = (
        SilentVerdictRow.night == night,
        SilentVerdictRow.policy == policy,
        SilentVerdictRow.arm == arm,
    )
    session.execute(delete(SilentVerdictRow).where(*own))
    rows = [
        {
            "night": night,
            "policy": policy,
            "arm": arm,
            "cell": one.comparison.cell,
            "metric": one.comparison.metric,
            "verdict": one.verdict,
            "reason": one.reason,
            "change": one.comparison.change,
            "p": one.comparison.p,
            "p_adjusted": one.comparison.p_adjusted,
        }
        for one in judgements
    ]
    if rows:
        session.execute(insert(SilentVerdictRow), rows)


def control_verdicts(session: Session, policy: str) -> list[SilentVerdict]:
    """What a policy concluded about the control arm, oldest night first."""
    statement = (
        select(SilentVerdictRow)
        .join(NightRow, NightRow.name == SilentVerdictRow.night)
        .where(SilentVerdictRow.policy == policy, SilentVerdictRow.arm == Arm.CONTROL)
        .order_by(NightRow.date, NightRow.name, SilentVerdictRow.cell, SilentVerdictRow.metric)
    )
    return [
        SilentVerdict(
            night=row.night,
            cell=row.cell,
            metric=row.metric,
            verdict=row.verdict,
            reason=row.reason,
            change=row.change,
            p=row.p,
            p_adjusted=row.p_adjusted,
        )
        for row in session.scalars(statement)
    ]


def shadows(session: Session) -> list[ShadowSummary]:
    """Policies that have judged nights in shadow, the one that judged last first."""
    row = SilentVerdictRow
    statement = (
        select(row.policy, func.count(row.night.distinct()), func.max(row.night.collate("C")))
        .where(row.arm != Arm.CONTROL)
        .group_by(row.policy)
        .order_by(func.max(row.judged_at).desc(), row.policy)
    )
    return [
        ShadowSummary(policy=policy, nights=nights, last_night=last)
        for policy, nights, last in session.execute(statement)
    ]


def two_verdicts(session: Session, policy: str) -> list[TwoVerdicts]:
    """Every comparison that was told and that a policy judged in shadow too, newest night first."""
    row, found = SilentVerdictRow, ComparisonRow
    same = and_(row.night == found.night, row.cell == found.cell, row.metric == found.metric)
    statement = (
        select(row, VerdictRow, CellRow.slug)
        .join(found, same)
        .join(VerdictRow, VerdictRow.comparison == found.key)
        .join(CellRow, CellRow.key == row.cell)
        .join(NightRow, NightRow.name == row.night)
        .where(row.policy == policy, row.arm != Arm.CONTROL)
        .order_by(NightRow.date.desc(), NightRow.name.desc(), CellRow.slug, row.cell, row.metric)
    )
    return [
        TwoVerdicts(
            night=silent.night,
            cell=silent.cell,
            cell_slug=slug,
            metric=silent.metric,
            told=told.verdict,
            told_reason=told.reason,
            shadow=silent.verdict,
            shadow_reason=silent.reason,
        )
        for silent, told, slug in session.execute(statement)
    ]
