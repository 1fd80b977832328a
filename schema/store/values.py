"""Values: what may enter a sample, and series of it over nights.

Every function here reads valid trials only, and of each replicate (one arm, build as asked for,
and cell of a night) the latest valid attempt, so that a repeated trial never counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from schema.store.episodes import levels_left
from schema.tables import BuildRow, CellRow, LaunchRow, MeasurementRow, NightRow, TrialRow
from schema.trials import Arm, TrialState


@dataclass(frozen=True, kw_only=True)
class Value:
    """One measurement with what it was measured on; in the metric's base unit."""

    night: str
    date: date
    cell: str
    """Key of the cell."""
    metric: str
    arm: Arm
    build: str
    """Key of the build."""
    build_name: str
    host: str
    """Fingerprint of the host."""
    trial: str
    """Key of the trial."""
    replicate: int
    value: float


@dataclass(frozen=True, kw_only=True)
class NotEstimable:
    """A metric that a valid trial could not estimate, and why."""

    cell: str
    """Key of the cell."""
    cell_slug: str
    metric: str
    arm: Arm
    build_name: str
    trial: str
    """Key of the trial."""
    reason: str


def values_of_night(session: Session, night: str) -> list[Value]:
    """All values of a night, by cell, metric, arm, build and replicate."""
    return _values(session, _counting(LaunchRow.night == night))


def values_before(
    session: Session,
    cell_keys: Sequence[str],
    before_night: str,
    nights: int,
    arms: Sequence[Arm] = (Arm.NIGHTLY,),
) -> list[Value]:
    """The baseline window: for each cell its last `nights` good nights with values, oldest first.

    Nights in which a cell has no valid trial do not shorten its window, nor do those at a level
    that an episode left behind: a regression must not become its own baseline.
    """
    good = ~levels_left(TrialRow.cell, LaunchRow.night)
    trials = _counting(
        TrialRow.cell.in_(cell_keys), LaunchRow.arm.in_(arms), _earlier(before_night), good
    )
    newest = (trials.c.date.desc(), trials.c.night.desc())
    age = func.dense_rank().over(partition_by=trials.c.cell, order_by=newest).label("age")
    aged = select(trials, age).subquery()
    return _values(session, aged, aged.c.age <= nights)


def values_between(
    session: Session,
    cell_keys: Sequence[str],
    first_night: str,
    last_night: str,
    arms: Sequence[Arm] = (Arm.NIGHTLY, Arm.CONTROL),
) -> list[Value]:
    """All values from one night up to another, both included, oldest first."""
    last = or_(_earlier(last_night), LaunchRow.night == last_night)
    between = and_(~_earlier(first_night), last)
    return _values(
        session, _counting(TrialRow.cell.in_(cell_keys), LaunchRow.arm.in_(arms), between)
    )


def values_of_latest(session: Session, cell_keys: Sequence[str], nights: int) -> list[Value]:
    """All values of these cells in the latest nights, every arm, oldest first."""
    newest = select(NightRow.name).order_by(NightRow.date.desc(), NightRow.name.desc())
    latest = LaunchRow.night.in_(newest.limit(nights))
    return _values(session, _counting(TrialRow.cell.in_(cell_keys), latest))


def series(session: Session, cell_key: str, metric: str) -> list[Value]:
    """All measurements of one metric of one cell, every arm, oldest night first."""
    trials = _counting(TrialRow.cell == cell_key)
    return _values(session, trials, MeasurementRow.metric == metric)


def values_of(
    session: Session, cell_key: str, build_key: str, arms: Sequence[Arm] | None = None
) -> dict[str, list[Value]]:
    """Values of a build in a cell by metric, over all nights; None takes every arm."""
    conditions = [TrialRow.cell == cell_key]
    if arms is not None:
        conditions.append(LaunchRow.arm.in_(arms))
    trials = _counting(*conditions)
    by_metric: dict[str, list[Value]] = {}
    for value in _values(session, trials, trials.c.build == build_key):
        by_metric.setdefault(value.metric, []).append(value)
    return by_metric


def not_estimable(session: Session, night: str) -> list[NotEstimable]:
    """What valid trials of a night could not estimate, by cell, metric, arm and replicate."""
    trials = _counting(LaunchRow.night == night)
    statement = (
        select(trials, TrialRow.not_estimable, CellRow.slug)
        .join(TrialRow, TrialRow.key == trials.c.trial)
        .join(CellRow, CellRow.key == trials.c.cell)
        .order_by(CellRow.slug, trials.c.cell, trials.c.arm, trials.c.version, trials.c.replicate)
    )
    return [
        NotEstimable(
            cell=row["cell"],
            cell_slug=row["slug"],
            metric=metric,
            arm=row["arm"],
            build_name=f"{row['engine']} {row['version']}",
            trial=row["trial"],
            reason=reason,
        )
        for row in session.execute(statement).mappings()
        for metric, reason in sorted(row["not_estimable"].items())
    ]


def _earlier(night: str) -> ColumnElement[bool]:
    day = date.fromisoformat(night[:10])
    return tuple_(NightRow.date, NightRow.name) < tuple_(day, night)


def _counting(*conditions: ColumnElement[bool]) -> Subquery:
    """The trials whose values count. Conditions may only tell replicates apart, not attempts."""
    replicate = (
        LaunchRow.night,
        LaunchRow.arm,
        BuildRow.engine,
        BuildRow.version,
        TrialRow.cell,
        LaunchRow.replicate,
    )
    latest = (LaunchRow.attempt.desc(), LaunchRow.started_at.desc(), TrialRow.key)
    statement: Select[*tuple[Any, ...]] = (
        select(
            *replicate,
            NightRow.date,
            LaunchRow.build,
            LaunchRow.host,
            TrialRow.key.label("trial"),
        )
        .ext(distinct_on(*replicate))
        .join_from(TrialRow, LaunchRow, LaunchRow.key == TrialRow.launch)
        .join(NightRow, NightRow.name == LaunchRow.night)
        .join(BuildRow, BuildRow.key == LaunchRow.build)
        .where(TrialRow.state == TrialState.VALID, *conditions)
        .order_by(*replicate, *latest)
    )
    return statement.subquery()


def _values(session: Session, trials: Subquery, *conditions: ColumnElement[bool]) -> list[Value]:
    columns = trials.c
    statement = (
        select(trials, MeasurementRow.metric, MeasurementRow.value)
        .join(MeasurementRow, MeasurementRow.trial == columns.trial)
        .where(*conditions)
        .order_by(columns.date, columns.night, columns.cell, MeasurementRow.metric)
        .order_by(columns.arm, columns.engine, columns.version, columns.replicate)
    )
    return [
        Value(
            night=row["night"],
            date=row["date"],
            cell=row["cell"],
            metric=row["metric"],
            arm=row["arm"],
            build=row["build"],
            build_name=f"{row['engine']} {row['version']}",
            host=row["host"],
            trial=row["trial"],
            replicate=row["replicate"],
            value=row["value"],
        )
        for row in session.execute(statement).mappings()
    ]
