"""What the commands share: how one is added to the parser."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

Run = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add(
    commands: Commands, name: str, run: Run, help: str, example: str = ""
) -> argparse.ArgumentParser:
    """A sub-command: its first sentence in the list of commands, its examples below its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{example}" if example else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
