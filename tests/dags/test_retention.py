"""Housekeeping: what is old gives way to its sketch, and killing it at any point loses nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from dags.retention import KEEP_DAYS, SketchesMissing, keep_days, keep_house, sketches_of
from schema.latencies import latencies
from schema.requests import Request, Requests
from schema.session import reading, writing
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.requests import dropped_on, months, requests
from schema.store.sketches import sketches, trials_without_sketch
from stats.sketch import ACCURACY, percentile

Make = Callable[..., Any]

MARCH, APRIL = date(2020, 3, 1), date(2020, 4, 1)
ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from dags import retention

step, nth = sys.argv[1], int(sys.argv[2])
real, done = getattr(retention, step), []

def and_die(*arguments):
    real(*arguments)
    done.append(step)
    if len(done) == nth:  # inside the transaction, with this step done and nothing committed
        os.kill(os.getpid(), signal.SIGKILL)

setattr(retention, step, and_die)
retention.keep_house(90)
"""


def many(offset: float) -> list[Request]:
    source = np.random.default_rng(int(offset * 10))
    return [
        Request(
            index=at, scheduled_s=0.0, sent_s=0.001, input_tokens=9, output_tokens=60,
            event_s=tuple((offset + np.cumsum(source.lognormal(-4, 0.5, 60))).tolist()),
            event_tokens=tuple(range(1, 61)),
        )
        for at in range(20)
    ]  # fmt: skip


@pytest.fixture
def store(
    own_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    make_night: Make, make_launch: Make, make_trial: Make, make_cell: Make,
) -> dict[str, Requests]:  # fmt: skip
    """Requests by trial: two launches in two months of long ago, and one of this month."""
    monkeypatch.setenv("DATABASE_URL", own_database_url)
    days = [datetime(2020, 3, 9, tzinfo=UTC), datetime(2020, 4, 9, tzinfo=UTC), datetime.now(UTC)]
    kept = {}
    with writing() as session:
        record_night(session, make_night())
        for at, day in enumerate(days):
            trials = (make_trial(make_cell(), requests=many(at + 1.0)),)
            launch = make_launch(started_at=day, replicate=at, trials=trials)
            record(session, launch)
            kept[launch.trial_key(trials[0])] = trials[0].requests
    return kept


def state(store: dict[str, Requests]) -> dict[str, Any]:
    """All that housekeeping may change."""
    with reading() as session:
        return {
            "months": months(session),
            "requests": {key for key in store if requests(session, key)},
            "sketches": {key: sketches(session, key) for key in store},
            "dropped": [dropped_on(session, month) is not None for month in (MARCH, APRIL)],
        }


def test_old_months_are_dropped_and_every_percentile_stays(store: dict[str, Requests]) -> None:
    old, older, new = store
    done = keep_house(90)
    assert (done.sketched, done.dropped) == (3, (MARCH, APRIL))
    after = state(store)
    assert after["requests"] == {new}
    assert after["dropped"] == [True, True]
    for key in (old, older):
        seen = latencies(store[key])
        for name, bins in after["sketches"][key].items():
            for share in np.linspace(0, 1, 201):
                truth = np.quantile(getattr(seen, name), share)
                assert percentile(bins, share) == pytest.approx(truth, rel=ACCURACY)


def test_this_month_and_the_next_have_their_partitions(store: dict[str, Requests]) -> None:
    keep_house(90)
    today = datetime.now(UTC).date()
    coming = (today.month % 12) + 1
    assert {today.month, coming} <= {month.month for month in state(store)["months"]}


def test_doing_it_again_changes_nothing(store: dict[str, Requests]) -> None:
    keep_house(90)
    before = state(store)
    assert keep_house(90).sketched == 0
    assert state(store) == before


def test_what_is_kept_for_long_enough_is_not_dropped(store: dict[str, Requests]) -> None:
    assert keep_house(100_000).dropped == ()
    assert state(store)["requests"] == set(store)


def test_a_dry_run_tells_and_does_nothing(store: dict[str, Requests]) -> None:
    before = state(store)
    told = keep_house(90, dry_run=True)
    assert (told.sketched, told.dropped) == (3, (MARCH, APRIL))
    assert state(store) == before


@pytest.mark.parametrize(
    ("step", "nth"),
    [("make_month", 2), ("keep_sketches", 1), ("keep_sketches", 2), ("drop_month", 1),
     ("drop_month", 2)],
)  # fmt: skip
def test_killed_at_any_point_nothing_is_lost(
    store: dict[str, Requests], step: str, nth: int
) -> None:
    program = [sys.executable, "-c", KILLED, step, str(nth)]
    died = subprocess.run(program, cwd=ROOT, env=os.environ, check=False)
    assert died.returncode == -signal.SIGKILL
    halfway = state(store)
    for key in store:
        assert key in halfway["requests"] or len(halfway["sketches"][key]) == 4
    keep_house(90)
    expected = {key: sketches_of(own) for key, own in store.items()}
    ended = state(store)
    assert ended["sketches"] == expected
    assert ended["requests"] == {list(store)[2]}
    assert ended["dropped"] == [True, True]


def test_damaged_requests_are_told_and_keep_their_month(store: dict[str, Requests]) -> None:
    first = next(iter(store))
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE requests SET packed = set_byte(packed, 40, 255 - get_byte(packed, 40))"
            " WHERE trial = %s",
            [first],
        )
    with pytest.raises(SketchesMissing, match=rf"1 of 3 trials .*\n  trial {first}: .*damaged"):
        keep_house(90)
    with reading() as session:
        assert trials_without_sketch(session) == [first]
        assert {MARCH, APRIL} <= set(months(session))


def test_a_trial_whose_requests_all_failed_has_empty_sketches() -> None:
    failed = Request(index=0, scheduled_s=0.0, sent_s=0.0, input_tokens=9, error="HTTP 503")
    assert sketches_of(Requests.of([failed])) == {"ttft": {}, "itl": {}, "tpot": {}, "e2e": {}}


def test_the_setting_is_a_number_of_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAILWATCH_KEEP_DAYS", raising=False)
    assert keep_days() == KEEP_DAYS
    monkeypatch.setenv("TAILWATCH_KEEP_DAYS", "7")
    assert keep_days() == 7
    monkeypatch.setenv("TAILWATCH_KEEP_DAYS", "a week")
    with pytest.raises(ValueError, match="TAILWATCH_KEEP_DAYS is 'a week': write a number of days"):
        keep_days()
