"""Exports: what is stored as rows with named columns, for whoever computes elsewhere.

A column's name ends in its unit (`_s`, `_tokens`); a value has its unit in column `unit`. Times are
UTC, nothing is rounded, and what is not known is None.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from schema.imported_tables import (
    ImportedDefinitionRow,
    ImportedFileRow,
    ImportedRequestRow,
    ImportedTrialRow,
    ImportedValueRow,
)
from schema.metrics import METRICS
from schema.store.cells import cells
from schema.store.nights import nights
from schema.store.requests import requests
from schema.store.trials import trials_of_night
from schema.store.values import values_of_night

ALL_NIGHTS = 1_000_000
BATCH = 5_000
Row = dict[str, Any]


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"
    DATE = "date"
    TIME = "time"
    NUMBERS = "numbers"
    WHOLES = "wholes"
    FACTS = "facts"  # an object, as JSON text


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table to export."""

    help: str
    columns: Mapping[str, Kind]
    rows: Callable[[Session], Iterator[Row]]


def _columns(**kinds: str) -> dict[str, Kind]:
    """`text="key night"`: columns of each kind, in the order given."""
    return {name: Kind(kind) for kind, names in kinds.items() for name in names.split()}


def _night_names(session: Session) -> list[str]:
    return [night.name for night in reversed(nights(session, limit=ALL_NIGHTS))]


def _trials(session: Session) -> Iterator[Row]:
    for night in _night_names(session):
        for trial in trials_of_night(session, night):
            yield vars(trial)


def _measurements(session: Session) -> Iterator[Row]:
    slugs = {cell.key: cell.slug for cell in cells(session)}
    for night in _night_names(session):
        for value in values_of_night(session, night):
            unit = METRICS[value.metric].unit if value.metric in METRICS else None
            yield vars(value) | {"cell_slug": slugs.get(value.cell), "unit": unit}


def _requests(session: Session) -> Iterator[Row]:
    for night in _night_names(session):
        for trial in trials_of_night(session, night):
            for request in requests(session, trial.key):
                yield {"trial": trial.key, **request.model_dump()}


def _imported_trials(session: Session) -> Iterator[Row]:
    columns = [column for column in ImportedTrialRow.__table__.columns if column.name != "file"]
    statement = (
        select(*columns, ImportedFileRow.name.label("file"))
        .join(ImportedFileRow, ImportedFileRow.key == ImportedTrialRow.file)
        .order_by(ImportedTrialRow.file, ImportedTrialRow.line, ImportedTrialRow.key)
    )
    yield from _streamed(session, statement)


def _imported_values(session: Session) -> Iterator[Row]:
    meaning, trial = ImportedDefinitionRow, ImportedTrialRow
    statement = (
        select(
            ImportedValueRow.trial,
            trial.subject,
            trial.tool,
            meaning.name,
            meaning.generation,
            meaning.key.label("definition"),
            meaning.words,
            meaning.metric,
            ImportedValueRow.value,
            meaning.unit,
            trial.state,
            trial.measured_at,
            trial.committed_at,
        )
        .join_from(ImportedValueRow, trial, trial.key == ImportedValueRow.trial)
        .join(meaning, meaning.key == ImportedValueRow.definition)
        .order_by(trial.file, trial.line, trial.key, meaning.name)
    )
    yield from _streamed(session, statement)


def _imported_requests(session: Session) -> Iterator[Row]:
    row = ImportedRequestRow
    statement = select(*row.__table__.columns).order_by(row.trial, row.index)
    yield from _streamed(session, statement)


def _streamed(session: Session, statement: Select[*tuple[Any, ...]]) -> Iterator[Row]:
    """A batch at a time: an export may be larger than the memory."""
    result = session.execute(statement, execution_options={"yield_per": BATCH})
    yield from (dict(row) for row in result.mappings())


SHEETS: dict[str, Sheet] = {
    "trials": Sheet(
        help="every trial of ours, whatever its state",
        columns=_columns(
            text="key night launch arm cell cell_slug workload build build_name host fingerprint "
            "driver state reason",
            whole="replicate attempt",
            truth="replaced",
            time="launched_at started_at",
            number="duration_s startup_s",
        ),
        rows=_trials,
    ),
    "measurements": Sheet(
        help="every value that counts, in the metric's base unit: the series",
        columns=_columns(
            text="night cell cell_slug metric unit arm build build_name host trial",
            date="date",
            whole="replicate",
            number="value",
        ),
        rows=_measurements,
    ),
    "requests": Sheet(
        help="every request of ours with the time of each event",
        columns=_columns(
            text="trial error",
            whole="index input_tokens output_tokens",
            number="scheduled_s sent_s",
            numbers="event_s",
            wholes="event_tokens",
        ),
        rows=_requests,
    ),
    "imported-trials": Sheet(
        help="every trial of other tools; column facts is its subject",
        columns=_columns(
            text="key file tool generation tool_version subject build image state reason",
            whole="line",
            facts="facts",
            time="measured_at committed_at",
        ),
        rows=_imported_trials,
    ),
    "imported-values": Sheet(
        help="every value of other tools with its definition and unit",
        columns=_columns(
            text="trial subject tool name generation definition words metric unit state",
            number="value",
            time="measured_at committed_at",
        ),
        rows=_imported_values,
    ),
    "imported-requests": Sheet(
        help="every request that other tools kept",
        columns=_columns(
            text="trial error",
            whole="index input_tokens output_tokens",
            number="start_s ttft_s e2e_s",
            numbers="gap_s",
        ),
        rows=_imported_requests,
    ),
}
"""What can be exported, by name."""
