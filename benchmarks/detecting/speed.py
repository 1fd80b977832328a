"""Seconds of CPU to judge series night by night, beside Otava on the very same series."""

import time
from statistics import median

from detecting import known_series as known
from detecting.known_series import Matrix
from detecting.rows import Row, Tool

from regressions.histories import histories
from regressions.policy import read_policy
from regressions.watch import replay

SERIES, SHORT = 10_000, 60
FIRST = 10
"""The night from which a detector that is asked every night is asked."""


def speed(tool: Tool) -> tuple[Row, Row]:
    """The whole series, and their first SHORT nights."""
    table = known.healthy(SERIES, 730, cv=0.02, seed=8_000)
    whole = _ours(table)
    short = median(_ours(table[:, :SHORT]) for _ in range(5))
    once, once_short = (_otava(tool, own) for own in (table[:10], table[:200, :SHORT]))
    prefixes = [row[:night] for row in table[:5] for night in range(FIRST, SHORT + 1)]
    nightly = _otava(tool, prefixes, len(prefixes) // 5)
    asked = f"asked every night from the {FIRST}th on, as we are, {1e3 * (nightly or 0):.0f} ms"
    return (
        _row(table.shape[1], whole, once, "under 30 s, ", whole < 30),
        _row(SHORT, short, once_short, "", True, f"; {asked}" if nightly else ""),
    )


def _row(
    nights: int, ours: float, theirs: float | None, limit: str, is_within: bool, more: str = ""
) -> Row:
    each = ours / SERIES
    ratio = theirs and theirs / each
    return Row(
        what=f"{SERIES} series x {nights} nights, night by night, on one core",
        target=f"{limit}50 times faster per series than Otava",
        reached=f"{ours:.1f} s of CPU, {1e6 * each:.0f} us a series"
        + (f", {ratio:.0f} times faster" if ratio else ""),
        is_met=is_within and (ratio is None or ratio >= 50),
        others=f"Otava, asked once: {1e3 * theirs:.1f} ms{more}" if theirs else "Otava is absent",
    )


def _ours(table: Matrix) -> float:
    started = time.process_time()
    replay(histories(table[:, :, None]), read_policy().series)
    return time.process_time() - started


def _otava(tool: Tool, series: Matrix | list[Matrix], looks: int = 1) -> float | None:
    """Of CPU for a series that is looked at so many times; None where Otava is absent."""
    answer = tool("otava", [own.tolist() for own in series])
    return answer and answer[1] * looks / len(series)
