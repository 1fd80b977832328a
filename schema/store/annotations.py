"""Annotations: what people know about a night that its numbers do not say."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from schema.store.nights import night as _night
from schema.tables import AnnotationRow
from schema.words import digest


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One remark. Without a cell or metric it concerns all of them."""

    night: str
    cell: str | None = None
    """Key of the cell."""
    metric: str | None = None
    author: str
    text: str
    created_at: datetime


def annotate(
    session: Session,
    night: str,
    text: str,
    *,
    author: str,
    cell: str | None = None,
    metric: str | None = None,
) -> None:
    """Add a remark; the same remark twice is one. Raises UnknownNight."""
    _night(session, night)
    row = {"night": night, "cell": cell, "metric": metric, "author": author, "text": text}
    key = digest([night, cell, metric, author, text])
    session.execute(insert(AnnotationRow).values(key=key, **row).on_conflict_do_nothing())


def annotations(
    session: Session, cell: str | None = None, metric: str | None = None
) -> list[Annotation]:
    """Remarks by night that concern a cell and a metric, general ones included.

    None does not choose: without both, every remark.
    """
    statement = select(AnnotationRow).order_by(AnnotationRow.night, AnnotationRow.created_at)
    if cell is not None:
        statement = statement.where(or_(AnnotationRow.cell.is_(None), AnnotationRow.cell == cell))
    if metric is not None:
        general = AnnotationRow.metric.is_(None)
        statement = statement.where(or_(general, AnnotationRow.metric == metric))
    return [
        Annotation(
            night=row.night,
            cell=row.cell,
            metric=row.metric,
            author=row.author,
            text=row.text,
            created_at=row.created_at,
        )
        for row in session.scalars(statement)
    ]
