"""tailwatch backtest."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from regressions.backtest import changes
from regressions.cleaning import cleaned
from regressions.findings import Finding, SeriesVerdict, findings
from regressions.policy import DEFAULT_POLICY, read_policy
from regressions.sentences import counted, figure, percent
from regressions.series_file import OPTIONAL, REQUIRED, read_series_file
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell

EXAMPLES = f"""\
  tailwatch backtest history.csv
  tailwatch backtest history.csv --policy policies/stricter.yaml --format table

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
        "replay a file of series night by night and print what the policy would have said",
        EXAMPLES,
    )
    parser.add_argument("series", metavar="SERIES.csv", type=Path, help="a CSV file, or .csv.gz")
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


def run_backtest(arguments: argparse.Namespace) -> int:
    policy = read_policy(arguments.policy)
    trials, left_out = cleaned(read_series_file(arguments.series))
    for what, count in left_out.items():
        tell(f"left out: {count} {what}")
    found = findings(changes(trials, policy.series), policy)
    if arguments.format == "table":
        Console().print(_table(found))
    else:
        for finding in found:
            result(finding.model_dump_json())
    alarms = sum(
        one.verdict in (SeriesVerdict.REGRESSION, SeriesVerdict.IMPROVEMENT) for one in found
    )
    nights = len(trials.drop_duplicates(["series", "order"]))
    tell(
        f"{counted(alarms, 'change')} in {trials['series'].nunique()} series with "
        f"{counted(nights, 'night')} in all, policy {policy.key}"
    )
    return 0


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
