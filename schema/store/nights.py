"""Nights: what a pass planned, and how far it came."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from schema.cells import Cell
from schema.judgements import Verdict
from schema.nights import Night, NightKind
from schema.session import SchemaError
from schema.store.cells import record_cells
from schema.tables import (
    CellRow,
    ComparisonRow,
    LaunchRow,
    NightRow,
    PlannedCellRow,
    TrialRow,
    VerdictRow,
)
from schema.trials import TrialState


class NightDiffers(SchemaError):
    """A night of this name was recorded with another plan."""


class UnknownNight(SchemaError):
    """The database holds no night of this name."""


@dataclass(frozen=True, kw_only=True)
class NightSummary:
    """A night in one line: its plan and what came of it."""

    name: str
    date: date
    kind: NightKind
    matrix: str
    contenders: tuple[str, ...]
    baselines: tuple[str, ...]
    cells: int
    """Cells planned."""
    cells_without_trials: int
    launches_planned: int
    launches: int
    """Engine launches recorded, further attempts included."""
    trials: dict[TrialState, int]
    """Trials recorded, every state present, further attempts included."""
    verdicts: dict[Verdict, int]
    """Verdicts drawn, every one present; all 0 before the night was judged."""


def record_night(session: Session, night: Night) -> None:
    """Keep the plan. The same plan again changes nothing; raises NightDiffers for another one."""
    row = night.model_dump(mode="json", exclude={"cells"}) | {"date": night.date}
    statement = insert(NightRow).values(row).on_conflict_do_nothing().returning(NightRow.name)
    if session.scalar(statement) is None:
        _require_same_plan(night, _stored(session, night.name))
        return
    record_cells(session, night.cells)
    planned = [
        {"night": night.name, "cell": cell.key, "position": position}
        for position, cell in enumerate(night.cells)
    ]
    if planned:
        session.execute(insert(PlannedCellRow), planned)


def night(session: Session, name: str) -> Night:
    """The plan of one night; raises UnknownNight."""
    return _stored(session, name)


def nights(session: Session, limit: int = 30) -> list[NightSummary]:
    """The latest nights, newest first."""
    newest = select(NightRow).order_by(NightRow.date.desc(), NightRow.name.desc()).limit(limit)
    rows = list(session.scalars(newest))
    names = [row.name for row in rows]
    planned, missing, launches, trials, verdicts = (
        _counts(session, statement) for statement in _questions(names)
    )
    return [
        NightSummary(
            name=row.name,
            date=row.date,
            kind=row.kind,
            matrix=row.matrix,
            contenders=tuple(row.contenders),
            baselines=tuple(row.baselines),
            cells=planned.get((row.name,), 0),
            cells_without_trials=missing.get((row.name,), 0),
            launches_planned=row.launches,
            launches=launches.get((row.name,), 0),
            trials={state: trials.get((row.name, state), 0) for state in TrialState},
            verdicts={word: verdicts.get((row.name, word), 0) for word in Verdict},
        )
        for row in rows
    ]


def cells_without_trials(session: Session, night: str) -> list[Cell]:
    """Cells that the night planned and never tried, not even with a failure; in planned order."""
    return _cells(session, PlannedCellRow.night == night, _untried())


def _questions(names: list[str]) -> tuple[Select[*tuple[Any, ...]], ...]:
    """What is counted per night: planned cells, untried ones, launches, trials, verdicts."""
    planned = _count(PlannedCellRow.night, names)
    trials = _count(LaunchRow.night, names, TrialRow.state).join(
        TrialRow, TrialRow.launch == LaunchRow.key
    )
    verdicts = _count(ComparisonRow.night, names, VerdictRow.verdict).join(
        VerdictRow, VerdictRow.comparison == ComparisonRow.key
    )
    return planned, planned.where(_untried()), _count(LaunchRow.night, names), trials, verdicts


def _count(night: Any, names: list[str], *by: Any) -> Select[*tuple[Any, ...]]:
    return (
        select(night, *by, func.count())
        .select_from(night.class_)
        .where(night.in_(names))
        .group_by(night, *by)
    )


def _counts(session: Session, statement: Select[*tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    return {tuple(row[:-1]): row[-1] for row in session.execute(statement)}


def _untried() -> ColumnElement[bool]:
    tried = (
        select(TrialRow.key)
        .join(LaunchRow, LaunchRow.key == TrialRow.launch)
        .where(LaunchRow.night == PlannedCellRow.night, TrialRow.cell == PlannedCellRow.cell)
        .correlate(PlannedCellRow)
    )
    return ~exists(tried)


def _cells(session: Session, *conditions: ColumnElement[bool]) -> list[Cell]:
    statement = (
        select(CellRow.document)
        .join(PlannedCellRow, PlannedCellRow.cell == CellRow.key)
        .where(*conditions)
        .order_by(PlannedCellRow.position)
    )
    return [Cell.model_validate(document) for document in session.scalars(statement)]


def _stored(session: Session, name: str) -> Night:
    row = session.get(NightRow, name)
    if row is None:
        raise UnknownNight(
            f"no night {name} is recorded here: check its name, and that DATABASE_URL names the "
            "database that its plan was recorded in"
        )
    return Night(
        name=row.name,
        kind=row.kind,
        matrix=row.matrix,
        matrix_digest=row.matrix_digest,
        contenders=tuple(row.contenders),
        baselines=tuple(row.baselines),
        cells=tuple(_cells(session, PlannedCellRow.night == name)),
        launches=row.launches,
    )


def _require_same_plan(asked: Night, stored: Night) -> None:
    differing = [
        field for field in Night.model_fields if getattr(asked, field) != getattr(stored, field)
    ]
    if differing:
        raise NightDiffers(
            f"night {asked.name} was planned before with another {', '.join(differing)}: "
            "resume it with the plan it has, or give this pass another name"
        )
