"""Requests in the database: in partitions of a month, dropped only when their sketches are kept."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from schema.session import Role, downgrade, migrate, open_database, reading, writing
from schema.store.launches import record, telemetry
from schema.store.nights import record_night
from schema.store.requests import (
    MonthStays,
    drop_month,
    dropped_on,
    make_month,
    months,
    requests,
)
from schema.store.sketches import keep_sketches, sketches, trials_without_sketch

Make = Callable[..., Any]

MARCH = date(2026, 3, 1)


@pytest.fixture
def march(own_database_url: str, make_night: Make, make_launch: Make) -> tuple[str, Any]:
    """(address, launch): a database with a launch of two trials in March."""
    launch = make_launch(started_at=datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    with writing(own_database_url) as session:
        record_night(session, make_night())
        record(session, launch)
    return own_database_url, launch


def test_a_night_makes_the_partition_that_it_needs(march: tuple[str, Any]) -> None:
    url, launch = march
    with reading(url) as session:
        assert months(session) == [MARCH]
        for own in launch.trials:
            assert requests(session, launch.trial_key(own)) == own.requests


def test_a_partition_is_the_month_in_utc(
    own_database_url: str, make_night: Make, make_launch: Make
) -> None:
    launch = make_launch(started_at=datetime.fromisoformat("2026-04-01T01:30:00+02:00"))
    with writing(own_database_url) as session:
        record_night(session, make_night())
        record(session, launch)
        assert months(session) == [MARCH]
        assert requests(session, launch.trial_key(launch.trials[0])) == launch.trials[0].requests


def test_recording_again_after_the_drop_changes_nothing(march: tuple[str, Any]) -> None:
    url, launch = march
    with writing(url) as session:
        for own in launch.trials:
            keep_sketches(session, launch.trial_key(own), {"ttft": {7: 1}})
        assert drop_month(session, MARCH)
    with writing(url) as session:
        assert record(session, launch) == 0
        assert months(session) == []
        assert dropped_on(session, MARCH) is not None


def test_postgres_itself_refuses_to_drop_what_has_no_sketch(march: tuple[str, Any]) -> None:
    url, launch = march
    with writing(url) as session:
        keep_sketches(session, launch.trial_key(launch.trials[0]), {"ttft": {7: 1}})
    with (
        pytest.raises(
            MonthStays, match=r"2026-03 were not dropped .*1 trials have no sketch.*again"
        ),
        writing(url) as session,
    ):
        drop_month(session, MARCH)
    with reading(url) as session:
        assert months(session) == [MARCH]
        assert dropped_on(session, MARCH) is None
        assert trials_without_sketch(session) == [launch.trial_key(launch.trials[1])]


def test_a_drop_that_is_undone_keeps_everything(march: tuple[str, Any]) -> None:
    url, launch = march
    key = launch.trial_key(launch.trials[0])
    with Session(open_database(Role.WRITER, url)) as session:
        for own in launch.trials:
            keep_sketches(session, launch.trial_key(own), {"ttft": {7: 1}})
        drop_month(session, MARCH)
        assert not requests(session, key)
        session.rollback()
    with reading(url) as session:
        assert requests(session, key) == launch.trials[0].requests
        assert sketches(session, key) == {}


def test_a_late_document_finds_its_month_again(march: tuple[str, Any], make_launch: Make) -> None:
    url, launch = march
    with writing(url) as session:
        for own in launch.trials:
            keep_sketches(session, launch.trial_key(own), {"ttft": {7: 1}})
        drop_month(session, MARCH)
    late = make_launch(started_at=launch.started_at, replicate=1)
    with writing(url) as session:
        assert record(session, late) == 2
    with reading(url) as session:
        assert requests(session, late.trial_key(late.trials[0])) == late.trials[0].requests


def test_recorders_wait_for_a_drop_and_then_find_their_month(
    march: tuple[str, Any], make_launch: Make
) -> None:
    url, launch = march
    late = make_launch(started_at=launch.started_at, replicate=1)
    stored: list[int] = []

    def recorder() -> None:
        with writing(url) as session:
            stored.append(record(session, late))

    with writing(url) as session:
        for own in launch.trials:
            keep_sketches(session, launch.trial_key(own), {"ttft": {7: 1}})
        drop_month(session, MARCH)
        other = threading.Thread(target=recorder)
        other.start()
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not session.scalar(waiting):
            assert other.is_alive()
    other.join()
    assert stored == [2]


def test_a_reader_in_the_way_is_told_and_nothing_is_lost(march: tuple[str, Any]) -> None:
    url, launch = march
    with writing(url) as session:
        for own in launch.trials:
            keep_sketches(session, launch.trial_key(own), {"ttft": {7: 1}})
    with reading(url) as looking:
        key = launch.trial_key(launch.trials[0])
        assert requests(looking, key)
        with psycopg.connect(url) as owner:  # or this test would take ten seconds
            owner.execute("ALTER FUNCTION months.drop SET lock_timeout = '50ms'")
        with pytest.raises(MonthStays, match="lock timeout"), writing(url) as session:
            drop_month(session, MARCH)
        assert requests(looking, key) == launch.trials[0].requests


def test_making_a_month_twice_changes_nothing(march: tuple[str, Any]) -> None:
    url, _ = march
    with writing(url) as session:
        make_month(session, date(2026, 3, 17))
        make_month(session, date(2027, 12, 31))
        assert months(session) == [MARCH, date(2027, 12, 1)]
        assert not drop_month(session, date(2030, 1, 1))


def test_a_writer_makes_months_and_no_other_tables(march: tuple[str, Any]) -> None:
    url, _ = march
    for forbidden in ("CREATE TABLE months.stray ()", "DROP TABLE months.requests_2026_03"):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            _execute(url, forbidden)
    with (
        pytest.raises(ProgrammingError, match="permission denied for function"),
        reading(url) as session,
    ):
        make_month(session, MARCH)


def _execute(url: str, statement: str) -> None:
    with writing(url) as session:
        session.execute(text(statement))


def test_what_was_recorded_before_packing_is_packed_and_comes_back(
    march: tuple[str, Any],
) -> None:
    url, launch = march
    downgrade(url, "0001")
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT count(*), sum(cardinality(event_s)) FROM requests")
        assert rows.fetchone() == (4, 4)
        read = connection.execute("SELECT power_w FROM telemetry ORDER BY index")
        assert read.fetchall() == [(310.0,), (None,)]
    migrate(url)
    with reading(url) as session:
        assert months(session) == [MARCH]
        assert telemetry(session, launch.key) == list(launch.telemetry)
        for own in launch.trials:
            assert requests(session, launch.trial_key(own)) == own.requests
