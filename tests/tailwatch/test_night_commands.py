"""verdicts, digest against a real database."""

from collections.abc import Callable

import pytest

from schema.judgements import Judgement
from schema.nights import Night
from schema.session import writing
from schema.store.judgements import record_judgements
from schema.store.nights import record_night
from tailwatch.__main__ import main

NIGHT = "2026-11-22"


@pytest.fixture
def database(
    database: str,
    make_night: Callable[..., Night],
) -> str:
    with writing(database) as session:
        record_night(session, make_night())
    return database


def test_verdicts_are_those_of_the_newest_night(
    database: str, make_judgement: Callable[..., Judgement], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verdicts"]) == 0
    assert "not judged yet" in capsys.readouterr().err
    with writing(database) as session:
        record_judgements(session, NIGHT, [make_judgement()])
    assert main(["verdicts"]) == 0
    shown = capsys.readouterr()
    assert f"night {NIGHT}" in shown.err
    assert "regression  vllm/tiny-mixtral/bf16/h100/tp1/enforce-eager/steady" in shown.out


def test_an_unknown_night_is_told_in_one_sentence(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verdicts", "--night", "2020-01-01"]) == 1
    assert "2020-01-01" in capsys.readouterr().err


def test_the_digest_is_printed_and_not_posted_without_slack(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_CHANNEL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["digest", "--night", NIGHT]) == 0
    assert NIGHT in capsys.readouterr().out
    assert main(["digest", "--night", NIGHT, "--post"]) == 1
    assert "SLACK_BOT_TOKEN is not set" in capsys.readouterr().err


def test_migrating_twice_changes_nothing(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert main(["db", "migrate"]) == 0
    assert main(["db", "migrate"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "in step"


def test_check_finds_migrations_and_tables_in_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "check"]) == 0
    assert "in step" in capsys.readouterr().out


def test_check_names_what_no_migration_makes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "tailwatch.commands.database.migration_drift", lambda _: ["column trials.mood text"]
    )
    assert main(["db", "check"]) == 1
    assert "column trials.mood text" in capsys.readouterr().err
