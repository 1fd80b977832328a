"""The command line."""

import argparse
import sys
from collections.abc import Sequence

from alerts.errors import AlertsError
from formats.errors import FormatError
from runners.errors import RunnerError
from schema.documents import BadDocument
from schema.matrix import MatrixError
from schema.session import SchemaError
from tailwatch.commands import (
    backtest,
    database,
    episodes,
    exporting,
    housekeeping,
    importing,
    matrix,
    measurements,
    night,
    plan,
    record,
    release,
    shadow,
    stack,
)
from tailwatch.console import tell
from tailwatch.errors import TailwatchError, UsageError

FORESEEN = (
    TailwatchError,
    SchemaError,
    MatrixError,
    BadDocument,
    RunnerError,
    AlertsError,
    FormatError,
)
"""Errors whose message is all that a user needs."""

DESCRIPTION = """\
Knows, every morning and with proof, whether an LLM serving engine got slower.

Results go to stdout, progress to stderr. Exit code 0: done; 1: it failed; 2: it was asked wrongly.
"""

EXAMPLES = """\
examples:
  tailwatch demo                                         see everything work on this machine
  tailwatch up && tailwatch status                       the local stack
  tailwatch release vllm==0.32.0 --baseline 0.31.0       is a release slower than the last one?
  tailwatch verdicts                                     what the newest night found
  tailwatch episodes                                     what is open, by cause
  tailwatch backtest history.csv                         what the policy would have said, and when
  tailwatch shadow policies/stricter.yaml                where another policy would differ
  tailwatch import results/                              what other tools measured
  tailwatch measurements -o measurements.md              what was measured, as one document
  tailwatch matrix nightly                               what a night measures, and why it fits
  tailwatch plan nightly --build vllm==0.32.0 -o n.pyz   a night for a host without a network

TAILWATCH_HOME names the state directory (default: .tailwatch in the repository), DATABASE_URL a
Postgres to use instead of the embedded one.
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tailwatch",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group in (
        *(stack, release, night, episodes, backtest, shadow, plan, record),
        *(importing, exporting, measurements, database, matrix, housekeeping),
    ):
        group.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as ending:  # argparse has said why
        return ending.code if isinstance(ending.code, int) else 2
    try:
        code: int = arguments.run(arguments)
    except FORESEEN as error:
        tell(f"tailwatch: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        tell("tailwatch: interrupted")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
