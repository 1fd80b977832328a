"""The command line: help that teaches, errors in one message, honest exit codes."""

import argparse
import os
from pathlib import Path

import pytest

from schema.data_files import WORKLOADS
from tailwatch.__main__ import build_parser, main

GOLDEN = Path(__file__).parents[1] / "golden" / "matrix" / "workloads.txt"


@pytest.fixture(autouse=True)
def _a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATABASE_URL", raising=False)


def _commands() -> list[str]:
    actions = build_parser()._actions
    choices = next(a.choices for a in actions if isinstance(a, argparse._SubParsersAction))
    return sorted(choices)


@pytest.mark.parametrize("command", _commands())
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: tailwatch {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["release", "vllm==0.32.0"],  # no baseline
        ["release", "0.32.0", "--baseline", "0.31.0"],
        ["release", "vllm==0.32.0", "--baseline", "0.31.0", "--launches", "many"],
        ["db", "drop"],
        ["housekeeping", "--keep-days", "-1"],
        ["housekeeping", "--keep-days", "a week"],
        ["record", "/nowhere"],
    ],
)
def test_a_wrong_question_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("argv", "next_step"),
    [
        (["release", "vllm==0.32.0", "--baseline", "0.31.0"], "`tailwatch up` starts it"),
        (["nightly"], "`tailwatch up` starts it"),
        (["verdicts"], "`tailwatch up` starts one, or set DATABASE_URL"),
        (["db", "migrate"], "`tailwatch up` starts one, or set DATABASE_URL"),
        (["housekeeping"], "`tailwatch up` starts one, or set DATABASE_URL"),
        (["matrix", "nighty"], "did you mean nightly"),
        (["status"], "`tailwatch up` starts what is down"),
    ],
)
def test_a_failure_exits_1_with_the_next_step(
    argv: list[str], next_step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 1
    shown = capsys.readouterr().err
    assert next_step in shown
    assert "Traceback" not in shown


def test_a_broken_matrix_is_told_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "ours.yaml"
    broken.write_text("launches: none\n")
    assert main(["matrix", str(broken)]) == 1
    assert "ours.yaml:1" in capsys.readouterr().err


def test_the_matrix_goes_to_stdout_and_its_size_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["matrix", "demo"]) == 0
    shown = capsys.readouterr()
    assert "vllm/tiny-mixtral/bf16/cpu/tp1/enforce-eager/closed-4" in shown.out
    assert "4 cells in 2 families" in shown.err


def test_the_matrix_tells_what_each_workload_sends_with_units(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The example has every kind of workload; what one draw of it looks like is pinned as well."""
    assert main(["matrix", "workloads", "--draw"]) == 0
    shown = capsys.readouterr().out
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(shown, encoding="utf-8")
    assert shown == GOLDEN.read_text(encoding="utf-8"), "if meant, UPDATE_GOLDEN=1 and review"


def test_a_file_that_cannot_be_drawn_from_is_told_after_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "example").mkdir()
    for file in (WORKLOADS / "example").iterdir():
        (tmp_path / "example" / file.name).write_bytes(file.read_bytes())
    broken = tmp_path / "example" / "lengths.csv"
    broken.write_text("input_tokens,output_tokens\n4,many\n")
    monkeypatch.setenv("TAILWATCH_WORKLOADS", str(tmp_path))
    assert main(["matrix", "workloads", "--draw"]) == 1
    shown = capsys.readouterr()
    told = "example/lengths.csv:2: output_tokens: should be a number of tokens, not 'many'"
    assert shown.err.count(told) == 1
    assert "batch-8: 16 requests with 8 in flight" in shown.out


def test_an_unreachable_database_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert main(["verdicts"]) == 1
    assert "no connection to Postgres" in capsys.readouterr().err


def test_down_without_anything_running_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down"]) == 0
    assert "nothing was running" in capsys.readouterr().err
