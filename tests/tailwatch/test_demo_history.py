"""What `make demo` shows besides what it measures."""

from pathlib import Path

import pytest

from schema.session import reading
from schema.store.cells import cells
from schema.store.nights import nights
from tailwatch.commands.release import show_history
from tailwatch.services import Stack

STACK = Stack(marker="m", airflow_port=8080, dashboard_port=8501)


def test_the_demo_records_nights_of_real_gpus_once(
    own_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_history(STACK, own_database_url)
    with reading(own_database_url) as session:
        first = nights(session)
        assert {own.family.gpu for own in cells(session)} >= {"h200"}
    assert {own.matrix for own in first if not sum(own.verdicts.values())} == {"experts"}
    show_history(STACK, own_database_url)
    with reading(own_database_url) as session:
        assert nights(session) == first
    told = capsys.readouterr()
    assert "http://127.0.0.1:8501/moe" in told.err
    assert told.out == ""


def test_a_damaged_document_does_not_stop_the_demo(
    own_database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.launch.json").write_text("{")
    show_history(STACK, own_database_url, tmp_path)
    told = capsys.readouterr().err
    assert "a.launch.json: not a launch document" in told
    assert "look at them meanwhile" in told
