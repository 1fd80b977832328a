"""Imported series: the values of one subject under one definition of its tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, func, nulls_first, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from schema.imported_tables import (
    ImportedDefinitionRow,
    ImportedFileRow,
    ImportedTrialRow,
    ImportedValueRow,
)
from schema.imports import Definition, Subject, Tool
from schema.metrics import Direction
from schema.session import SchemaError
from schema.trials import TrialState

RECENT = 40
"""Values that an overview keeps of each series."""


class UnknownSeries(SchemaError):
    """Nothing imported has this subject and definition."""


@dataclass(frozen=True, kw_only=True)
class ImportedSeries:
    """One series in a line."""

    subject: str
    """Key of the subject."""
    facts: Subject
    definition: str
    """Key of the definition."""
    meaning: Definition
    values: int
    """How many valid trials have one."""
    last_at: datetime | None
    recent: tuple[float, ...]
    """At most RECENT, oldest first, in the definition's unit."""
    not_valid: int
    """Trials of the subject that failed or are invalid."""


@dataclass(frozen=True, kw_only=True)
class ImportedPoint:
    """One trial of a series; `value` is None where the trial failed or does not have it."""

    trial: str
    state: TrialState
    reason: str | None
    value: float | None
    measured_at: datetime | None
    committed_at: datetime | None
    build: str | None
    image: str | None
    file: str
    """Name of the file in which the trial was first seen."""
    line: int


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What one tool's files brought, in a line."""

    tool: Tool
    files: int
    trials: int
    not_valid: int


def import_summaries(session: Session) -> list[ImportSummary]:
    """A line a tool, by its name."""
    trial = ImportedTrialRow
    wrong = func.count(trial.key).filter(trial.state != TrialState.VALID)
    statement = (
        select(trial.tool, func.count(trial.file.distinct()), func.count(trial.key), wrong)
        .group_by(trial.tool)
        .order_by(trial.tool)
    )
    return [
        ImportSummary(tool=tool, files=files, trials=trials, not_valid=not_valid)
        for tool, files, trials, not_valid in session.execute(statement)
    ]


def imported_series(session: Session, tool: Tool, least: int = 1) -> list[ImportedSeries]:
    """Series of a tool with at least so many values, those with most values first."""
    trial, value = ImportedTrialRow, ImportedValueRow
    ordered = aggregate_order_by(value.value, *_order(), trial.key)
    statement = (
        select(
            trial.subject,
            *(func.min(trial.facts.cast(Text)), value.definition, func.count()),
            *(func.max(trial.measured_at), func.array_agg(ordered)),
        )
        .join_from(value, trial, trial.key == value.trial)
        .where(trial.tool == tool, trial.state == TrialState.VALID)
        .group_by(trial.subject, value.definition)
        .having(func.count() >= least)
        .order_by(func.count().desc(), trial.subject, value.definition)
    )
    known, wrong = definitions(session, tool), _not_valid(session, tool)
    return [
        ImportedSeries(
            subject=subject,
            facts=Subject.model_validate_json(facts),
            definition=definition,
            meaning=known[definition],
            values=count,
            last_at=last_at,
            recent=tuple(values[-RECENT:]),
            not_valid=wrong.get(subject, 0),
        )
        for subject, facts, definition, count, last_at, values in session.execute(statement)
    ]


def imported_points(session: Session, subject: str, definition: str) -> list[ImportedPoint]:
    """Every trial of a subject, oldest first, with its value of the definition if it has one.

    Only valid ones belong to the series; the others are there to be marked. Raises UnknownSeries.
    """
    trial, value = ImportedTrialRow, ImportedValueRow
    own = and_(value.trial == trial.key, value.definition == definition)
    statement = (
        select(
            trial.key.label("trial"),
            trial.state,
            trial.reason,
            value.value,
            trial.measured_at,
            trial.committed_at,
            trial.build,
            trial.image,
            ImportedFileRow.name.label("file"),
            trial.line,
        )
        .join_from(trial, ImportedFileRow, ImportedFileRow.key == trial.file)
        .outerjoin(value, own)
        .where(trial.subject == subject)
        .order_by(*_order(), trial.key)
    )
    points = [ImportedPoint(**row) for row in session.execute(statement).mappings()]
    if not any(point.value is not None for point in points):
        raise UnknownSeries(f"nothing imported has subject {subject} and definition {definition}")
    return points


def definitions(session: Session, tool: Tool | None = None) -> dict[str, Definition]:
    """Every definition by its key, as it was first imported."""
    row = ImportedDefinitionRow
    statement = select(row).order_by(row.tool, row.name, row.generation)
    if tool is not None:
        statement = statement.where(row.tool == tool)
    return {
        own.key: Definition(
            tool=own.tool,
            name=own.name,
            generation=own.generation,
            words=own.words,
            unit=own.unit,
            direction=Direction(own.direction) if own.direction else None,
            metric=own.metric,
        )
        for own in session.scalars(statement)
    }


def _order() -> Sequence[ColumnElement[Any]]:
    """By when it was measured; the file's order where no time is told."""
    return (nulls_first(ImportedTrialRow.measured_at.asc()), ImportedTrialRow.line.asc())


def _not_valid(session: Session, tool: Tool) -> dict[str, int]:
    trial = ImportedTrialRow
    statement = (
        select(trial.subject, func.count())
        .where(trial.tool == tool, trial.state != TrialState.VALID)
        .group_by(trial.subject)
    )
    return dict(session.execute(statement).all())
