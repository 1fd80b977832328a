"""import and export against a real database: what goes in comes out, for pandas and DuckDB."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from schema.nights import Night
from schema.session import writing
from schema.store.exports import SHEETS
from schema.store.launches import record
from schema.store.nights import record_night
from schema.trials import Launch
from tailwatch.__main__ import main

FIXTURES = Path(__file__).parents[1] / "formats" / "fixtures"
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "parquet": pd.read_parquet,
    "csv": pd.read_csv,
    "jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.fixture
def imported(database: str, capsys: pytest.CaptureFixture[str]) -> str:
    """With every fixture imported."""
    assert main(["import", str(FIXTURES)]) == 0
    capsys.readouterr()
    return database


def test_a_folder_is_imported_with_a_table_of_what_was_read(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(FIXTURES)]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split()[:3] == ["tool", "schema", "trials"]
    row = next(line for line in shown.out.splitlines() if "vllm_0.33_appended" in line)
    assert row.split()[:8] == ["vllm-bench-serve", "0.33", "2", "1", "0", "0", "15", "2"]
    files = len(list(FIXTURES.iterdir()))
    assert f"{files} of {files} files read" in shown.err


def test_importing_again_finds_nothing_new(
    imported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(FIXTURES)]) == 0
    assert ", 0 new" in capsys.readouterr().err


def test_a_refused_file_is_told_with_its_line_and_the_others_are_imported(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = (FIXTURES / "vllm_0.10.json").read_text()
    (tmp_path / "cut.jsonl").write_text(good + good[:-20])
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "good.json").write_text(good)
    assert main(["import", *map(str, sorted(tmp_path.glob("*.json*")))]) == 1
    shown = capsys.readouterr()
    assert f"{tmp_path}/cut.jsonl:2: ends too early" in shown.err
    assert f"{tmp_path}/empty.json:1: is empty" in shown.err
    assert "1 of 3 files read, 1 trial, 1 new" in shown.err


def test_a_dry_run_needs_no_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["import", "--dry-run", str(FIXTURES / "*.jsonl")]) == 0
    assert "4 of 4 files read" in capsys.readouterr().err


def test_a_name_that_is_no_file_is_a_wrong_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "nowhere.json", str(FIXTURES), "--dry-run"]) == 2
    assert "no file is called nowhere.json" in capsys.readouterr().err


def test_a_tool_that_is_named_wrongly_is_told(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(FIXTURES / "vllm_0.10.json"), "--as", "guidellm"]) == 1
    assert "is of vllm-bench-serve, vllm-bench-latency, not of guidellm" in capsys.readouterr().err


def test_a_fork_that_nobody_recognises_can_be_named(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fork.json").write_text('{"model_id": "m", "mean_ttft_ms": 40.0}')
    assert main(["import", str(tmp_path / "fork.json")]) == 1
    assert main(["import", str(tmp_path / "fork.json"), "--as", "vllm-bench-serve"]) == 0


@pytest.mark.parametrize("kind", READERS)
def test_pandas_and_duckdb_read_the_same_rows(
    imported: str,
    kind: str,
    tmp_path: Path,
    make_night: Callable[..., Night],
    make_launch: Callable[..., Launch],
) -> None:
    with writing(imported) as session:
        record_night(session, make_night())
        record(session, make_launch())
    for what, sheet in SHEETS.items():
        path = tmp_path / f"{what}.{kind}"
        assert main(["export", what, "-o", str(path)]) == 0
        frame, relation = READERS[kind](path), duckdb.query(f"from '{path}'")
        assert list(frame.columns) == relation.columns == list(sheet.columns)
        assert len(frame) == relation.aggregate("count(*)").fetchall()[0][0] > 0
    assert {own.name for own in tmp_path.glob(f"*.{kind}")} == {f"{w}.{kind}" for w in SHEETS}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", READERS)
def test_values_come_out_as_they_went_in(imported: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{kind}"
    assert main(["export", "imported-values", "-o", str(path)]) == 0
    frame = READERS[kind](path)
    own = frame[(frame["tool"] == "guidellm") & (frame["name"] == "time_to_first_token_ms.p999")]
    assert set(own["value"]) == {0.1}
    assert set(own["unit"]) == {"s"}


def test_times_have_their_zone(imported: str, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    assert main(["export", "imported-trials", "-o", str(path)]) == 0
    frame = pd.read_parquet(path)
    own = frame[frame["build"] == "bbbb"].iloc[0]
    assert own["committed_at"] == datetime(2026, 3, 15, 9, tzinfo=UTC)
    (found,) = (
        duckdb.query(f"from '{path}'").filter("build = 'bbbb'").project("epoch(committed_at)")
    ).fetchall()
    assert found[0] == datetime(2026, 3, 15, 9, tzinfo=UTC).timestamp()
    assert json.loads(own["facts"])["model"] == "Example-8B"


def test_lists_are_lists_in_parquet_and_json_in_csv(imported: str, tmp_path: Path) -> None:
    for kind, read in (("parquet", list), ("csv", json.loads)):
        path = tmp_path / f"out.{kind}"
        assert main(["export", "imported-requests", "-o", str(path)]) == 0
        frame = READERS[kind](path)
        gaps = [read(own) for own in frame["gap_s"]]
        assert [0.01, 0.02] in gaps


def test_an_unknown_ending_is_a_wrong_question(
    imported: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "trials", "-o", str(tmp_path / "out.xlsx")]) == 2
    assert "add --format" in capsys.readouterr().err
    assert main(["export", "trials", "-o", str(tmp_path / "none" / "out.csv")]) == 2
