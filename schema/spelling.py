"""What a misspelt name was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(given: str, known: Iterable[str], *, most: int = 1, likeness: float = 0.6) -> str:
    """`; did you mean a or b?`, with `most` names at most; empty where none is close.

    `likeness` is difflib's ratio, from 0 to 1 (the same).
    """
    close = get_close_matches(given, sorted(known), n=most, cutoff=likeness)
    return f"; did you mean {' or '.join(close)}?" if close else ""
