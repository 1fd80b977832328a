"""Launches: recording what a runner wrote, exactly once."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from schema.columns import Base
from schema.kept_tables import TelemetryRow
from schema.packed import pack_rows, unpack_rows
from schema.session import SchemaError
from schema.store.cells import record_cells
from schema.store.nights import UnknownNight
from schema.store.requests import NoSuchMonth, keep_requests, make_month
from schema.store.selections import keep_selections
from schema.tables import (
    BuildRow,
    HostRow,
    LaunchRow,
    MeasurementRow,
    NightRow,
    TrialRow,
)
from schema.trials import Arm, Build, Launch, Telemetry, Trial, TrialState

TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtext('tailwatch.record'))")


class AmbiguousLaunch(SchemaError):
    """A document says two things about one trial."""


def record(session: Session, launch: Launch) -> int:
    """Keep a launch with all its trials; returns how many trials are new.

    A launch that is there already changes nothing and returns 0. Of one whose document was recorded
    while it went on, only the further trials are kept, as a launch of their own. All of it is kept
    or none, even when the caller goes on after an error. Recorders take turns until their
    transactions end.
    Raises UnknownNight when the night's plan was not recorded before, and AmbiguousLaunch.
    """
    _require_unambiguous(launch)
    session.execute(TAKE_TURNS)  # before any savepoint, which would give the turn away when undone
    try:
        return _record(session, launch)
    except NoSuchMonth:  # once a month at most: cheaper than to ask each time
        make_month(session, launch.started_at.astimezone(UTC).date())
        return _record(session, launch)


def _record(session: Session, launch: Launch) -> int:
    with session.begin_nested():
        if session.get(NightRow, launch.night) is None:
            raise UnknownNight(
                f"launch {launch.key} belongs to night {launch.night}, whose plan is not recorded "
                "here: record the night first"
            )
        if session.get(LaunchRow, launch.key) is not None:
            return 0
        further = _further(session, launch)
        if further.trials or not launch.trials:
            _keep(session, further)
    return len(further.trials)


def launch_keys(session: Session, night: str) -> set[str]:
    """Keys of the launches of a night that are recorded already."""
    return set(session.scalars(select(LaunchRow.key).where(LaunchRow.night == night)))


def launch_commands(session: Session, keys: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What each was started with, by its key; empty where its build was not there."""
    statement = select(LaunchRow.key, LaunchRow.command).where(LaunchRow.key.in_(keys))
    return {key: tuple(command) for key, command in session.execute(statement)}


def launch_seconds(session: Session, night: str) -> dict[str, float]:
    """What a launch of one cell alone would take, s, by cell: from the night's own launches, the
    longest one whose trial was valid.

    A launch that serves other cells too is counted without their measured windows and without its
    wait for the device; their warm-up stays in, so that it is rather too long than too short.
    """
    columns = (LaunchRow.key, LaunchRow.started_at, LaunchRow.ended_at, LaunchRow.phases_s)
    statement = (
        select(*columns, TrialRow.cell, TrialRow.state, TrialRow.duration_s)
        .join(TrialRow, TrialRow.launch == LaunchRow.key)
        .where(LaunchRow.night == night, LaunchRow.arm.in_((Arm.NIGHTLY, Arm.CONTROL)))
    )
    rows = list(session.execute(statement))
    measured: dict[str, float] = {}
    for row in rows:
        measured[row.key] = measured.get(row.key, 0.0) + (row.duration_s or 0.0)
    seconds: dict[str, float] = {}
    for row in rows:
        if row.state is TrialState.VALID:
            whole = (row.ended_at - row.started_at).total_seconds() - row.phases_s.get("wait", 0.0)
            alone = whole - measured[row.key] + (row.duration_s or 0.0)
            seconds[row.cell] = max(alone, seconds.get(row.cell, 0.0))
    return seconds


def telemetry(session: Session, launch_key: str) -> list[Telemetry]:
    """Readings of the machine during a launch, in the order in which they were taken."""
    found = session.get(TelemetryRow, launch_key)
    return [Telemetry(**row) for row in unpack_rows(found.packed)] if found else []


def _further(session: Session, launch: Launch) -> Launch:
    """The launch without the trials that an earlier document of the same engine start brought."""
    same_start = (
        LaunchRow.night == launch.night,
        LaunchRow.arm == launch.arm,
        LaunchRow.replicate == launch.replicate,
        LaunchRow.attempt == launch.attempt,
        LaunchRow.build == launch.build.key,
        LaunchRow.host == launch.host.fingerprint,
        LaunchRow.started_at == launch.started_at,
    )
    known = select(TrialRow.cell).join(LaunchRow, LaunchRow.key == TrialRow.launch)
    kept = set(session.scalars(known.where(*same_start)))
    trials = tuple(trial for trial in launch.trials if trial.cell.key not in kept)
    return launch.model_copy(update={"trials": trials})


def _require_unambiguous(launch: Launch) -> None:
    cells = Counter(trial.cell.slug for trial in launch.trials)
    twice = [f"two trials of {slug}" for slug, count in cells.items() if count > 1]
    if twice:
        raise AmbiguousLaunch(
            f"launch {launch.key} of night {launch.night} holds {'; '.join(twice)}: nothing of it "
            "was stored, have the runner write it again"
        )


def _keep(session: Session, launch: Launch) -> None:
    record_cells(session, [trial.cell for trial in launch.trials])
    host = launch.host.model_dump(mode="json") | {"fingerprint": launch.host.fingerprint}
    session.execute(postgresql.insert(HostRow).values(host).on_conflict_do_nothing())
    _keep_build(session, launch.build)
    session.execute(insert(LaunchRow), [_launch_row(launch)])
    _insert(session, TrialRow, [_trial_row(launch, trial) for trial in launch.trials])
    measurements = [
        {"trial": launch.trial_key(trial), "metric": metric, "value": value}
        for trial in launch.trials
        for metric, value in trial.measurements.items()
    ]
    _insert(session, MeasurementRow, measurements)
    keep_requests(session, launch)
    keep_selections(session, launch)
    if launch.telemetry:
        readings = pack_rows([reading.model_dump() for reading in launch.telemetry])
        session.execute(insert(TelemetryRow), {"launch": launch.key, "packed": readings})


def _insert(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _keep_build(session: Session, build: Build) -> None:
    """Once; its packages with the first launch that tells them."""
    row = build.model_dump(mode="json") | {"key": build.key}
    told = postgresql.insert(BuildRow).values(row)
    keep = told.on_conflict_do_update(
        index_elements=[BuildRow.key],
        set_={"packages": told.excluded.packages},
        where=func.cardinality(BuildRow.packages) == 0,
    )
    session.execute(keep)


def _launch_row(launch: Launch) -> dict[str, Any]:
    own = launch.model_dump(exclude={"build", "host", "telemetry", "trials"})
    references = {
        "key": launch.key,
        "build": launch.build.key,
        "host": launch.host.fingerprint,
        "command": list(launch.command),
    }
    return {name: _storable(value) for name, value in (own | references).items()}


def _trial_row(launch: Launch, trial: Trial) -> dict[str, Any]:
    own = trial.model_dump(exclude={"cell", "measurements", "requests", "selections"})
    references = {
        "key": launch.trial_key(trial),
        "launch": launch.key,
        "cell": trial.cell.key,
        "checks": [check.model_dump() for check in trial.checks],
    }
    return {name: _storable(value) for name, value in (own | references).items()}


def _storable(value: Any) -> Any:
    """Postgres refuses NUL and lone surrogates, and a log may hold both: replace them."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return value
