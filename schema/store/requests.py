"""Requests: kept packed in partitions of one month, and dropped by whole months."""

from datetime import date
from typing import Any

from psycopg.errors import CheckViolation, LockNotAvailable, RaiseException
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from schema.kept_tables import DroppedMonthRow, RequestsRow
from schema.requests import NONE, Requests
from schema.session import SchemaError
from schema.store.copying import copy
from schema.tables import LaunchRow, TrialRow
from schema.trials import Launch

COLUMNS = {"trial": "text", "launched_at": "timestamptz", "packed": "bytea"}
COPY = f"COPY requests ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
MONTHS = text("""
SELECT to_date(relname, '"requests_"YYYY_MM') FROM pg_class
WHERE relnamespace = to_regnamespace('months') AND relkind = 'r' ORDER BY 1
""")


class MonthStays(SchemaError):
    """A month was not dropped: a trial has no sketch, or somebody reads its requests."""


class NoSuchMonth(SchemaError):
    """There is no partition for a launch's month: make it."""


def keep_requests(session: Session, launch: Launch) -> None:
    """COPY the requests of all of its trials, as packed as they come; raises NoSuchMonth.

    An error leaves the transaction unusable up to its last savepoint.
    """
    rows: list[tuple[Any, ...]] = [
        (launch.trial_key(trial), launch.started_at, trial.requests.packed)
        for trial in launch.trials
        if trial.requests
    ]
    if not rows:
        return
    try:
        copy(session, COPY, rows, list(COLUMNS.values()))
    except CheckViolation as error:
        raise NoSuchMonth(f"no partition takes requests of {launch.started_at:%Y-%m}") from error


def requests(session: Session, trial_key: str) -> Requests:
    """The calls sent during a trial, in their order; none once their month was dropped."""
    statement = (
        select(RequestsRow.packed)
        .join_from(TrialRow, LaunchRow, LaunchRow.key == TrialRow.launch)
        .join(
            RequestsRow,
            (RequestsRow.trial == TrialRow.key) & (RequestsRow.launched_at == LaunchRow.started_at),
        )
        .where(TrialRow.key == trial_key)
    )
    packed = session.scalar(statement)
    return NONE if packed is None else Requests(packed)


def make_month(session: Session, day: date) -> None:
    """Make the partition of the day's month; it may be there already."""
    session.execute(select(func.months.make(day)))


def months(session: Session) -> list[date]:
    """First days of the months that have a partition, oldest first."""
    return list(session.scalars(MONTHS))


def drop_month(session: Session, month: date) -> bool:
    """Drop all requests of launches of a month; False when there is no partition of it.

    Raises MonthStays while one of the trials has no sketch, and when readers are in the way for
    longer than 10 s. Recorders wait for the end of the transaction.
    """
    try:
        return bool(session.scalar(select(func.months.drop(month))))
    except DBAPIError as error:
        if not isinstance(error.orig, RaiseException | LockNotAvailable):
            raise
        raise MonthStays(
            f"requests of {month:%Y-%m} were not dropped ({error.orig.diag.message_primary}): "
            "nothing is lost, run housekeeping again"
        ) from error


def dropped_on(session: Session, month: date) -> date | None:
    """When the month's requests were dropped for the last time; None when they never were."""
    found = session.get(DroppedMonthRow, month)
    return None if found is None else found.dropped_at.date()
