"""Trials: what ran in a night, and everything about one of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.orm import Session, aliased

from schema.cells import Cell
from schema.hosts import Host
from schema.session import SchemaError
from schema.tables import (
    BuildRow,
    CellRow,
    HostRow,
    LaunchRow,
    MeasurementRow,
    TrialRow,
)
from schema.trials import Arm, Build, Check, TrialState


class UnknownTrial(SchemaError):
    """The database holds no trial with this key."""


@dataclass(frozen=True, kw_only=True)
class TrialSummary:
    """A trial in one line, with what it ran on."""

    key: str
    night: str
    launch: str
    """Key of the launch."""
    arm: Arm
    replicate: int
    attempt: int
    cell: str
    """Key of the cell."""
    cell_slug: str
    workload: str
    build: str
    """Key of the build."""
    build_name: str
    host: str
    """Name of the host."""
    fingerprint: str
    """Fingerprint of the host."""
    driver: str | None
    state: TrialState
    reason: str | None
    replaced: bool
    """Whether a later attempt at the same replicate is valid."""
    launched_at: datetime
    started_at: datetime | None
    """When its measured window began; None when it never did."""
    duration_s: float | None
    startup_s: float | None


@dataclass(frozen=True, kw_only=True)
class LaunchFacts:
    """The engine start that served a trial."""

    key: str
    started_at: datetime
    ended_at: datetime
    startup_s: float | None
    caches_warm: bool | None
    command: tuple[str, ...]
    environment: dict[str, str]
    effective: dict[str, str]
    overhead_s: float | None
    phases_s: dict[str, float]
    log_tail: str


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """Everything about one trial but its requests and telemetry, which are read by themselves."""

    summary: TrialSummary
    cell: Cell
    build: Build
    host: Host
    launch: LaunchFacts
    seed: int
    checks: tuple[Check, ...]
    measurements: dict[str, float]
    not_estimable: dict[str, str]
    """Metrics that it could not estimate, each with its reason."""
    server: dict[str, float]


def trials_of_night(session: Session, night: str) -> list[TrialSummary]:
    """Every trial of the night, further attempts included, by cell, arm, build and replicate."""
    return _read(session, LaunchRow.night == night)


def failed_trials(session: Session, cells: Collection[str]) -> list[TrialSummary]:
    """Those of the cells, by key, that are failed or invalid, replaced or not."""
    return _read(session, TrialRow.cell.in_(cells), TrialRow.state != TrialState.VALID)


def trial(session: Session, key: str) -> TrialFacts:
    """One trial; raises UnknownTrial."""
    found = _read(session, TrialRow.key == key)
    if not found:
        raise UnknownTrial(f"no trial {key} is recorded here: its night lists the trials it has")
    statement = (
        select(TrialRow, LaunchRow, BuildRow, HostRow, CellRow.document)
        .join_from(TrialRow, LaunchRow, LaunchRow.key == TrialRow.launch)
        .join(BuildRow, BuildRow.key == LaunchRow.build)
        .join(HostRow, HostRow.fingerprint == LaunchRow.host)
        .join(CellRow, CellRow.key == TrialRow.cell)
        .where(TrialRow.key == key)
    )
    row, launch, build, host, cell = session.execute(statement).one()
    values = select(MeasurementRow.metric, MeasurementRow.value).where(MeasurementRow.trial == key)
    return TrialFacts(
        summary=found[0],
        cell=Cell.model_validate(cell),
        build=Build(**{field: getattr(build, field) for field in Build.model_fields}),
        host=_host(host),
        launch=_launch(launch),
        seed=row.seed,
        checks=tuple(Check.model_validate(check) for check in row.checks),
        measurements=dict(session.execute(values).all()),
        not_estimable=row.not_estimable,
        server=row.server,
    )


def _host(row: HostRow) -> Host:
    return Host.model_validate({field: getattr(row, field) for field in Host.model_fields})


def _launch(row: LaunchRow) -> LaunchFacts:
    return LaunchFacts(
        key=row.key,
        started_at=row.started_at,
        ended_at=row.ended_at,
        startup_s=row.startup_s,
        caches_warm=row.caches_warm,
        command=tuple(row.command),
        environment=row.environment,
        effective=row.effective,
        overhead_s=row.overhead_s,
        phases_s=row.phases_s,
        log_tail=row.log_tail,
    )


def _read(session: Session, *conditions: ColumnElement[bool]) -> list[TrialSummary]:
    order = (
        CellRow.slug,
        TrialRow.cell,
        LaunchRow.arm,
        BuildRow.engine,
        BuildRow.version,
        LaunchRow.replicate,
        LaunchRow.attempt,
    )
    statement = _summaries().where(*conditions).order_by(*order)
    return [_summary(row) for row in session.execute(statement).mappings()]


def _summary(row: Mapping[Any, Any]) -> TrialSummary:
    facts = {name: value for name, value in row.items() if name not in {"engine", "version"}}
    return TrialSummary(build_name=f"{row['engine']} {row['version']}", **facts)


def _summaries() -> Select[*tuple[Any, ...]]:
    """One row a trial, its columns named as the fields of TrialSummary."""
    return (
        select(
            TrialRow.key,
            LaunchRow.night,
            TrialRow.launch,
            LaunchRow.arm,
            LaunchRow.replicate,
            LaunchRow.attempt,
            TrialRow.cell,
            CellRow.slug.label("cell_slug"),
            CellRow.workload,
            LaunchRow.build,
            BuildRow.engine,
            BuildRow.version,
            HostRow.name.label("host"),
            HostRow.fingerprint,
            HostRow.driver,
            TrialRow.state,
            TrialRow.reason,
            _replaced().label("replaced"),
            LaunchRow.started_at.label("launched_at"),
            TrialRow.started_at,
            TrialRow.duration_s,
            LaunchRow.startup_s,
        )
        .join_from(TrialRow, LaunchRow, LaunchRow.key == TrialRow.launch)
        .join(BuildRow, BuildRow.key == LaunchRow.build)
        .join(HostRow, HostRow.fingerprint == LaunchRow.host)
        .join(CellRow, CellRow.key == TrialRow.cell)
    )


def _replaced() -> ColumnElement[bool]:
    """A valid trial of the same replicate, from a later attempt."""
    trial, launch, build = aliased(TrialRow), aliased(LaunchRow), aliased(BuildRow)
    later = (
        select(trial.key)
        .join(launch, launch.key == trial.launch)
        .join(build, build.key == launch.build)
        .where(
            trial.cell == TrialRow.cell,
            trial.state == TrialState.VALID,
            launch.night == LaunchRow.night,
            launch.arm == LaunchRow.arm,
            launch.replicate == LaunchRow.replicate,
            launch.attempt > LaunchRow.attempt,
            build.engine == BuildRow.engine,
            build.version == BuildRow.version,
        )
        .correlate(TrialRow, LaunchRow, BuildRow)
    )
    return exists(later)
