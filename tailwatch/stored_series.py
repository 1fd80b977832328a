"""Stored series as the rows that a replay reads: our nights, and what other tools measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from dashboard.imported import subject_line, subject_title
from dashboard.overview import told_apart
from regressions.policy import JUDGED
from regressions.sentences import counted, some
from regressions.series_file import OPTIONAL, REQUIRED
from schema.cells import Cell
from schema.imports import Tool
from schema.metrics import METRICS
from schema.spelling import did_you_mean
from schema.store.cells import cells, host_names
from schema.store.imported_series import (
    ImportedPoint,
    ImportedSeries,
    imported_points,
    imported_series,
)
from schema.store.values import Value, values_between
from schema.trials import Arm
from tailwatch.console import tell
from tailwatch.errors import UsageError

COLUMNS = (*REQUIRED, *OPTIONAL, "order")
FIRST, LAST = "0001-01-01", "9999-12-31"
"""Names that no night precedes, or follows."""
Row = tuple[str | float, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which of the stored series; what is empty chooses all."""

    cells: Sequence[str] = ()
    """Texts: a cell (of a tool: a subject) that contains any of them."""
    metrics: Sequence[str] = ()
    """By name, a tool's own for what it measured; empty: those that a night's judgement tests."""
    engine: str | None = None

    def takes(self, name: str, engine: str | None) -> bool:
        """Whether a cell or subject of this name is chosen; upper and lower case are alike."""
        said = name.lower()
        is_wanted = not self.cells or any(text.lower() in said for text in self.cells)
        return is_wanted and self.engine in (None, (engine or "").lower())


def own_series(session: Session, choice: Choice) -> pd.DataFrame:
    """One row a valid trial of a nightly and metric, as regressions.series_file gives them.

    The time is the night's name, several trials a night. Raises UsageError where nothing fits.
    """
    metrics = _known(choice.metrics, METRICS, "metric") or JUDGED
    every = {own.key: own for own in cells(session)}
    chosen = [own for own in every.values() if choice.takes(own.slug, own.family.engine)]
    names = told_apart({key: own.slug for key, own in every.items()})
    tell(f"reading {counted(len(chosen), 'cell')} of {len(every)}")
    hosts = host_names(session)
    rows = [
        row
        for cell in chosen
        for value in values_between(session, [cell.key], FIRST, LAST, (Arm.NIGHTLY,))
        if value.metric in metrics
        for row in [_own_row(value, cell, names[cell.key], hosts)]
    ]
    if not rows:
        raise UsageError(_nothing("nightly's value", [own.slug for own in every.values()]))
    found = pd.DataFrame(rows, columns=[*COLUMNS, "date"])
    nights = sorted(set(zip(found["date"], found["time"], strict=True)))
    place = {name: float(at) for at, (_, name) in enumerate(nights)}
    return _numbered(found.assign(order=found["time"].map(place)).drop(columns="date"))


def tools_series(session: Session, tool: Tool, choice: Choice) -> pd.DataFrame:
    """One row a trial that a tool measured, with NaN where it failed, in the same columns.

    The time is when it was measured, else when its build was committed. What has neither, and what
    has no better direction, cannot be replayed and is told. Raises UsageError where nothing fits.
    """
    every = imported_series(session, tool)
    known = {own.meaning.name for own in every}
    metrics = _known(choice.metrics, known, f"name of {tool}") or known
    chosen = [
        own
        for own in every
        if own.meaning.name in metrics and choice.takes(_label(own), own.facts.engine)
    ]
    judged = [own for own in chosen if own.meaning.direction is not None]
    if len(judged) < len(chosen):
        tell(f"left out: {len(chosen) - len(judged)} series whose better direction is not told")
    tell(f"reading {len(judged)} of {len(every)} series")
    names = told_apart({_id(own): f"{_label(own)}: {own.meaning.name}" for own in judged})
    rows = [row for own in judged for row in _tools_rows(session, own, names[_id(own)])]
    timed = [row for row in rows if row[1]]
    if len(timed) < len(rows):
        tell(f"left out: {counted(len(rows) - len(timed), 'trial')} without a time")
    if not timed:
        raise UsageError(_nothing(f"value of {tool} with a time", [_label(own) for own in every]))
    return _numbered(pd.DataFrame(timed, columns=list(COLUMNS)))


def _own_row(value: Value, cell: Cell, name: str, hosts: Mapping[str, str]) -> Row:
    return (
        f"{name} {value.metric}",
        value.night,
        value.value,
        METRICS[value.metric].direction.value,
        value.metric,
        name,
        cell.family.engine.value,
        f"{value.build_name} ({value.build[:8]})",
        f"{hosts[value.host]} ({value.host[:8]})",
        value.trial,
        0.0,
        value.date.isoformat(),
    )


def _tools_rows(session: Session, own: ImportedSeries, name: str) -> Iterator[Row]:
    for point in imported_points(session, own.subject, own.definition):
        at = point.measured_at or point.committed_at
        yield (
            name,
            at.isoformat() if at else "",
            np.nan if point.value is None else point.value,
            str(own.meaning.direction),
            own.meaning.name,
            _label(own),
            own.facts.engine or "",
            _build(point),
            own.facts.gpu or "",
            point.trial,
            at.timestamp() if at else np.nan,
        )


def _build(point: ImportedPoint) -> str:
    return point.build or point.image or ""


def _id(own: ImportedSeries) -> str:
    return f"{own.definition[:8]} {own.subject}"


def _label(own: ImportedSeries) -> str:
    return f"{subject_title(own.facts)}, {subject_line(own.facts)}"


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(line=np.arange(len(rows)))


def _known(asked: Sequence[str], known: Iterable[str], what: str) -> set[str]:
    """The names that were asked for; raises UsageError with every one that is not known."""
    names = set(known)
    mistakes = [
        f"{name!r} is no {what}{did_you_mean(name, names)}" for name in asked if name not in names
    ]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return set(asked)


def _nothing(what: str, there: Sequence[str]) -> str:
    if not there:
        return f"no {what} is stored: nothing was recorded yet"
    return f"no {what} is stored that fits; there are {some(list(dict.fromkeys(there)))}"
