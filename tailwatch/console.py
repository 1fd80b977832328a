"""What a command says: results on stdout, everything else on stderr."""

import sys


def result(text: str) -> None:
    """A line that another program may read."""
    print(text)  # noqa: T201


def tell(text: str) -> None:
    """A line for whoever waits."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
