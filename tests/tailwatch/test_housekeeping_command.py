"""tailwatch housekeeping against a real database."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schema.session import writing
from schema.store.launches import record
from schema.store.nights import record_night
from tailwatch.__main__ import main

Make = Callable[..., Any]


def test_a_dry_run_says_what_a_real_one_then_does(
    own_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make_night: Make,
    make_launch: Make,
) -> None:
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", own_database_url)
    monkeypatch.setenv("TAILWATCH_KEEP_DAYS", "100000")
    with writing() as session:
        record_night(session, make_night())
        record(session, make_launch(started_at=datetime(2020, 3, 9, tzinfo=UTC)))
    told = []
    for options in (["--dry-run", "--keep-days", "30"], [], ["--keep-days", "30"]):
        assert main(["housekeeping", *options]) == 0
        told.append(capsys.readouterr().out.strip())
    assert told == [
        "2 trials would be sketched; requests would be dropped: 2020-03",
        "2 trials sketched; requests dropped: no month",
        "0 trials sketched; requests dropped: 2020-03",
    ]


def test_a_setting_that_is_no_number_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAILWATCH_KEEP_DAYS", "a week")
    assert main(["housekeeping"]) == 2
    assert "TAILWATCH_KEEP_DAYS is 'a week': write a number of days" in capsys.readouterr().err
