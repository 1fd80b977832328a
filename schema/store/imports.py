"""Imports: keeping what other people's tools measured, each record exactly once."""

from collections.abc import Iterable, Iterator
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from schema.columns import Base
from schema.imported_tables import (
    ImportedDefinitionRow,
    ImportedFileRow,
    ImportedRequestRow,
    ImportedTrialRow,
    ImportedValueRow,
)
from schema.imports import Definition, ImportedFile, ImportedRequest, ImportedTrial
from schema.store.copying import copy

TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtext('tailwatch.import'))")


def record_import(session: Session, file: ImportedFile) -> int:
    """Keep a file with all its trials; returns how many trials are new.

    A trial is known by what its record says: the same record under another name, or within a longer
    file, is the same trial. All of the file is kept or none. Importers take turns.
    """
    with session.begin_nested():
        session.execute(TAKE_TURNS)
        own = {"key": file.content, "name": file.name, "tool": file.tool}
        own["generation"] = file.generation
        session.execute(insert(ImportedFileRow).values(own).on_conflict_do_nothing())
        keys = [trial.key for trial in file.trials]
        known = set(
            session.scalars(select(ImportedTrialRow.key).where(ImportedTrialRow.key.in_(keys)))
        )
        new = [trial for trial in file.trials if trial.key not in known]
        _keep(session, file, new)
    return len(new)


def _keep(session: Session, file: ImportedFile, trials: list[ImportedTrial]) -> None:
    definitions = {definition.key: definition for trial in trials for definition in trial.values}
    if definitions:
        rows = [_definition_row(key, own) for key, own in definitions.items()]
        session.execute(insert(ImportedDefinitionRow).on_conflict_do_nothing(), rows)
    keys = {definition: key for key, definition in definitions.items()}
    _copy(session, ImportedTrialRow, (_trial_row(file, trial) for trial in trials))
    _copy(session, ImportedValueRow, _value_rows(trials, keys))
    _copy(
        session,
        ImportedRequestRow,
        (_request_row(trial, own) for trial in trials for own in trial.requests),
    )


def _definition_row(key: str, own: Definition) -> dict[str, Any]:
    return {"key": key} | {name: getattr(own, name) for name in own.__dataclass_fields__}


def _value_rows(
    trials: Iterable[ImportedTrial], keys: dict[Definition, str]
) -> Iterator[tuple[Any, ...]]:
    """Two names of one key differ in words only; the first value stands."""
    for trial in trials:
        values: dict[str, float] = {}
        for definition, value in trial.values.items():
            key = keys.get(definition) or definition.key
            values.setdefault(key, value)
        for key, value in values.items():
            yield trial.key, key, value


def _trial_row(file: ImportedFile, trial: ImportedTrial) -> tuple[Any, ...]:
    facts = trial.subject.model_dump(mode="json", exclude_defaults=True)
    row = {
        "file": file.content,
        "subject": trial.subject.key(trial.tool),
        "facts": Jsonb(facts),
        "tool": trial.tool.value,
        "state": trial.state.value,
    }
    return tuple(
        row[column] if column in row else getattr(trial, column)
        for column in ImportedTrialRow.__table__.columns.keys()  # noqa: SIM118 (names, not columns)
    )


def _request_row(trial: ImportedTrial, own: ImportedRequest) -> tuple[Any, ...]:
    row = {"trial": trial.key, "gap_s": list(own.gap_s)}
    return tuple(
        row[column] if column in row else getattr(own, column)
        for column in ImportedRequestRow.__table__.columns.keys()  # noqa: SIM118 (names, not columns)
    )


def _copy(session: Session, table: type[Base], rows: Iterable[tuple[Any, ...]]) -> None:
    columns = ", ".join(f'"{column.name}"' for column in table.__table__.columns)
    copy(session, f"COPY {table.__tablename__} ({columns}) FROM STDIN", rows)
