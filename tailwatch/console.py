"""What a command says: results on stdout, everything else on stderr."""

import sys
from collections.abc import Sequence


def result(text: str) -> None:
    """A line that another program may read."""
    print(text)  # noqa: T201


def tell(text: str) -> None:
    """A line for whoever waits."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
