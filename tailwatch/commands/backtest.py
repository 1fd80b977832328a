"""tailwatch backtest."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Column, Table

from regressions.backtest import changes
from regressions.cleaning import cleaned
from regressions.findings import Finding, findings
from regressions.policy import DEFAULT_POLICY, read_policy
from regressions.sentences import counted, figure, percent
from regressions.series_file import OPTIONAL, REQUIRED, read_series_file
from schema.imports import Tool
from schema.session import reading
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home
from tailwatch.stored_series import Choice, own_series, tools_series

EXAMPLES = f"""\
  tailwatch backtest history.csv
  tailwatch backtest history.csv --policy policies/stricter.yaml --format table
  tailwatch backtest                                          every nightly series that is stored
  tailwatch backtest --cells mixtral --metrics itl_p50 ttft_p50 --engine vllm --format table
  tailwatch backtest --imported atom-nightly --metrics NAME   what another tool measured

Without SERIES.csv the stored history is replayed, by the same rules: the time is the night, the
trials of a night are those of its nightly launches (neither releases nor the control arm), builds
and hosts are what a change is put down to. Nothing of it is kept, and no episode is opened.

SERIES.csv has a header with {", ".join(REQUIRED)} (lower or higher: which way is better)
and any of {", ".join(OPTIONAL)}. Times are ISO 8601 or numbers; several rows at one time are
that night's trials; a failed trial has an empty value.

Each line of the answer is one change of an episode: series, flagged_at (the night that showed it),
change_at (the first night of the change), verdict (regression, improvement, transient, suspected),
change (relative, signed), p, episode, attribution, reasons, policy (its hash). Every night is
judged by the nights before it only, so flagged_at is when you would have known.
"""


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "backtest",
        run_backtest,
        "replay series night by night, of a file or of the database, and print what the policy "
        "would have said",
        EXAMPLES,
    )
    parser.add_argument(
        "series",
        metavar="SERIES.csv",
        type=Path,
        nargs="?",
        help="a CSV file, or .csv.gz (default: what the database holds)",
    )
    _add_choices(parser)
    parser.add_argument(
        "--policy",
        metavar="P",
        type=Path,
        default=DEFAULT_POLICY,
        help=f"a policy file (default: {DEFAULT_POLICY.parent.name}/{DEFAULT_POLICY.name})",
    )
    parser.add_argument(
        "--format",
        choices=("jsonl", "table"),
        default="jsonl",
        help="one JSON object a line, or a table to read (default: jsonl)",
    )


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """Which of the stored series."""
    parser.add_argument(
        "--cells",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="only stored cells whose slug contains it (of a tool: whose subject does)",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only these (default: all that are judged); with --imported a tool's own names",
    )
    parser.add_argument("--engine", type=str.lower, help="only this engine's: vllm, sglang")
    parser.add_argument(
        "--imported",
        type=Tool,
        choices=list(Tool),
        metavar="TOOL",
        help=f"what this tool measured, in place of our nights: {', '.join(Tool)}",
    )


def run_backtest(arguments: argparse.Namespace) -> int:
    policy = read_policy(arguments.policy)
    trials, left_out = cleaned(_rows(arguments))
    for what, count in left_out.items():
        tell(f"left out: {count} {what}")
    found = findings(changes(trials, policy.series), policy)
    if arguments.format == "table":
        Console().print(_table(found))
    else:
        for finding in found:
            result(finding.model_dump_json())
    alarms = sum(one.is_alarm for one in found)
    nights = len(trials.drop_duplicates(["series", "order"]))
    tell(
        f"{counted(alarms, 'change')} in {trials['series'].nunique()} series with "
        f"{counted(nights, 'night')} in all, policy {policy.key}"
    )
    return 0


def _rows(arguments: argparse.Namespace) -> pd.DataFrame:
    """Of the file, or of the database."""
    choice = Choice(
        cells=tuple(arguments.cells), metrics=tuple(arguments.metrics), engine=arguments.engine
    )
    if arguments.series is not None:
        if choice != Choice() or arguments.imported:
            raise UsageError(
                "--cells, --metrics, --engine and --imported choose among stored series; a file "
                "is replayed whole"
            )
        return read_series_file(arguments.series)
    with reading(find_database(find_home())) as session:
        if arguments.imported:
            return tools_series(session, arguments.imported, choice)
        return own_series(session, choice)


def _table(found: Sequence[Finding]) -> Table:
    whole = ("series", "began", "flagged", "verdict", "change", "p", "put down to")
    table = Table(*(Column(name, no_wrap=True) for name in whole), "why")
    for one in found:
        table.add_row(
            one.series,
            one.change_at,
            one.flagged_at,
            one.verdict,
            percent(one.change),
            figure(one.p),
            one.attribution,
            "\n".join(one.reasons),
        )
    return table
