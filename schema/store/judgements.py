"""Judgements: comparisons of a night and the verdicts drawn from them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from schema.judgements import Comparison, Judgement, Side, Warning
from schema.metrics import METRICS
from schema.session import SchemaError
from schema.store.nights import UnknownNight
from schema.tables import CellRow, ComparisonRow, NightRow, VerdictRow

READING_ORDER = {name: position for position, name in enumerate(METRICS)}


class MixedJudgements(SchemaError):
    """Judgements of another night, or two of the same comparison."""


def record_judgements(session: Session, night_name: str, judgements: Sequence[Judgement]) -> None:
    """Replace what was concluded about a night: a verdict that is not among these is gone.

    Other sessions see the old judgements until the transaction ends, then the new ones. Judges of
    one night take turns. Raises UnknownNight and MixedJudgements.
    """
    _require_one_each(night_name, judgements)
    with session.begin_nested():
        # not FOR UPDATE: that would make recorders of further launches wait
        turn = select(NightRow.name).where(NightRow.name == night_name)
        if session.scalar(turn.with_for_update(key_share=True)) is None:
            raise UnknownNight(f"no night {night_name} is recorded here: record its plan first")
        session.execute(delete(ComparisonRow).where(ComparisonRow.night == night_name))
        if judgements:
            session.execute(insert(ComparisonRow), [_comparison_row(one) for one in judgements])
            session.execute(insert(VerdictRow), [_verdict_row(one) for one in judgements])


def judgements(session: Session, night: str) -> list[Judgement]:
    """What was concluded about a night, by cell and then in the order in which people read."""
    statement = (
        select(ComparisonRow, VerdictRow, CellRow.slug)
        .join(VerdictRow, VerdictRow.comparison == ComparisonRow.key)
        .join(CellRow, CellRow.key == ComparisonRow.cell)
        .where(ComparisonRow.night == night)
    )
    rows = list(session.execute(statement))
    # a metric that was renamed since comes last
    rows.sort(key=lambda row: (row[2], row[0].cell, _place(row[0].metric), row[0].key))
    return [_judgement(comparison, verdict) for comparison, verdict, _ in rows]


def _place(metric: str) -> tuple[int, str]:
    return READING_ORDER.get(metric, len(READING_ORDER)), metric


def _require_one_each(night: str, judgements: Sequence[Judgement]) -> None:
    strangers = sorted({one.comparison.night for one in judgements} - {night})
    if strangers:
        raise MixedJudgements(
            f"judgements of {', '.join(strangers)} were handed in for {night}: record each night's "
            "own"
        )
    keys = [one.comparison.key for one in judgements]
    twice = sorted(
        {
            f"{one.comparison.metric} of cell {one.comparison.cell}"
            for one in judgements
            if keys.count(one.comparison.key) > 1
        }
    )
    if twice:
        raise MixedJudgements(
            f"night {night} has two judgements between the same builds for {', '.join(twice)}: "
            "keep the one that counts"
        )


def _comparison_row(judgement: Judgement) -> dict[str, Any]:
    comparison = judgement.comparison
    row = comparison.model_dump(mode="json", exclude={"interval"})
    low, high = comparison.interval or (None, None)
    return row | {"key": comparison.key, "interval_low": low, "interval_high": high}


def _verdict_row(judgement: Judgement) -> dict[str, Any]:
    row = judgement.model_dump(exclude={"comparison"})
    return row | {"comparison": judgement.comparison.key}


def _judgement(comparison: ComparisonRow, verdict: VerdictRow) -> Judgement:
    low, high = comparison.interval_low, comparison.interval_high
    return Judgement(
        comparison=Comparison(
            night=comparison.night,
            cell=comparison.cell,
            metric=comparison.metric,
            baseline=Side.model_validate(comparison.baseline),
            contender=Side.model_validate(comparison.contender),
            change=comparison.change,
            interval=None if low is None or high is None else (low, high),
            confidence=comparison.confidence,
            p=comparison.p,
            least_p=comparison.least_p,
            p_adjusted=comparison.p_adjusted,
            family_size=comparison.family_size,
            warnings=tuple(Warning.model_validate(one) for one in comparison.warnings),
        ),
        verdict=verdict.verdict,
        reason=verdict.reason,
        policy=verdict.policy,
    )
