"""Imports in the database: each record once, all of a file or nothing, series of one definition."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import DataError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schema.imported_tables import (
    ImportedFileRow,
    ImportedRequestRow,
    ImportedTrialRow,
    ImportedValueRow,
)
from schema.imports import (
    Definition,
    ImportedFile,
    ImportedRequest,
    ImportedTrial,
    Subject,
    Tool,
)
from schema.store.imported_series import (
    UnknownSeries,
    definitions,
    import_summaries,
    imported_points,
    imported_series,
)
from schema.store.imports import record_import
from schema.trials import TrialState

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
ITL = Definition(tool=Tool.GUIDELLM, name="itl.mean", words="mean gap", unit="s")
TTFT = Definition(tool=Tool.GUIDELLM, name="ttft.mean", words="first token", unit="s")


def trial(number: int, **facts: object) -> ImportedTrial:
    return ImportedTrial(
        **{
            "tool": Tool.GUIDELLM,
            "generation": "2",
            "subject": Subject(model="example/model", concurrency=4),
            "measured_at": BEGAN + timedelta(days=number),
            "values": {ITL: 0.01 + number / 1000},
            "requests": (ImportedRequest(index=0, ttft_s=0.05, gap_s=(0.01, 0.02)),),
            "line": number + 1,
            "content": f"c{number}",
        }
        | facts
    )


def failed(number: int) -> ImportedTrial:
    return trial(number, state=TrialState.FAILED, reason="nobody answered", values={}, requests=())


def file(*trials: ImportedTrial, content: str = "f1", name: str = "a.json") -> ImportedFile:
    return ImportedFile(
        name=name, content=content, tool=Tool.GUIDELLM, generation="2", trials=trials
    )


def count(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_importing_twice_changes_nothing(session: Session) -> None:
    own = file(trial(0), trial(1))
    assert record_import(session, own) == 2
    assert record_import(session, own) == 0
    assert record_import(session, replace(own, name="renamed.json")) == 0
    assert [count(session, table) for table in (ImportedFileRow, ImportedTrialRow)] == [1, 2]


def test_a_longer_file_adds_only_what_is_new(session: Session) -> None:
    record_import(session, file(trial(0)))
    assert record_import(session, file(trial(0), trial(1), content="f2")) == 1
    assert count(session, ImportedValueRow) == 2


def test_a_file_is_kept_whole_or_not_at_all(session: Session) -> None:
    """The last of its requests has a text that Postgres refuses."""
    broken = trial(1, requests=(ImportedRequest(index=0, error="a\0b"),))
    with pytest.raises(DataError, match="NUL"):
        record_import(session, file(trial(0), broken))
    tables = (ImportedFileRow, ImportedTrialRow, ImportedValueRow, ImportedRequestRow)
    assert [count(session, table) for table in tables] == [0, 0, 0, 0]


def test_a_series_holds_one_definition_of_one_subject(session: Session) -> None:
    other = trial(2, subject=Subject(model="example/model", concurrency=8))
    newer = replace(ITL, generation="3")
    record_import(
        session,
        file(trial(0, values={ITL: 0.01, TTFT: 0.5}), trial(1), other, trial(3, values={newer: 1})),
    )
    series = imported_series(session, Tool.GUIDELLM)
    told = {(own.facts.concurrency, own.meaning.name, own.meaning.generation) for own in series}
    assert told == {
        (4, "itl.mean", ""),
        (4, "ttft.mean", ""),
        (8, "itl.mean", ""),
        (4, "itl.mean", "3"),
    }
    assert series[0].recent == (0.01, 0.011)
    assert definitions(session, Tool.AIPERF) == {}


def test_failed_trials_are_marked_and_never_a_value(session: Session) -> None:
    record_import(session, file(trial(0), failed(1), trial(2)))
    (own,) = imported_series(session, Tool.GUIDELLM)
    assert (own.values, own.not_valid) == (2, 1)
    points = imported_points(session, own.subject, own.definition)
    assert [point.value for point in points] == [0.01, None, 0.012]
    assert points[1].reason == "nobody answered"
    assert import_summaries(session)[0].not_valid == 1


def test_an_invalid_trial_keeps_its_values_out_of_the_series(session: Session) -> None:
    doubtful = trial(1, state=TrialState.INVALID, reason="2 of 4 requests failed")
    record_import(session, file(trial(0), doubtful))
    (own,) = imported_series(session, Tool.GUIDELLM)
    assert own.recent == (0.01,)
    assert count(session, ImportedValueRow) == 2


def test_an_unknown_series_is_told(session: Session) -> None:
    with pytest.raises(UnknownSeries, match="subject s and definition d"):
        imported_points(session, "s", "d")


def test_a_value_that_is_none_cannot_be_made() -> None:
    for value in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="not a finite value of at least 0: itl"):
            trial(0, values={ITL: value})


def test_a_trial_that_is_not_valid_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="has a reason"):
        trial(0, state=TrialState.FAILED)
