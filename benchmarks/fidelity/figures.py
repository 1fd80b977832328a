"""Figures out of the results: what is compared, and over which runs. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from fidelity.points import REFERENCE, RUNGS
from fidelity.tools.tool import Tool

Row = Mapping[str, Any]
"""One measurement: what was measured, and what `measuring.measure` gave."""


def reference(rows: Sequence[Row], tool: Tool) -> list[Row]:
    """The tool's results at the reference point, without those that failed."""
    own = of(rows, tool)
    return [row for row in own if shape(row) == RUNGS[REFERENCE] and row["failure"] is None]


def of(rows: Sequence[Row], tool: Tool) -> list[Row]:
    return [row for row in rows if row["tool"] == tool.name]


def shape(row: Row) -> tuple[int, float]:
    return row["streams"], row["itl_ms"]


def sustained(rows: Sequence[Row], tool: Tool) -> list[float]:
    """Highest rate of each run, events/s: 0 when none was sustained."""
    best: dict[int, float] = {}
    for row in of(rows, tool):
        if shape(row) in RUNGS:
            held = row["events_per_s"] if row["sustained"] else 0.0
            best[row["run"]] = max(best.get(row["run"], 0.0), held)
    return list(best.values())


def end(rows: Sequence[Row], tool: Tool) -> str:
    """Why the tool's last climb ended."""
    own = [row for row in of(rows, tool) if shape(row) in RUNGS and not row["sustained"]]
    if not own:
        return "the ladder ends there"
    row = own[-1]
    worst = error(row)
    why = row["failure"] or (f"p99 error {worst['p99'] * 1e3:,.1f} ms" if worst else "")
    return f"{row['streams']} x {1e3 / row['itl_ms']:g}/s: {why}"


def error(row: Row) -> dict[str, float] | None:
    """Of the gaps, or of their means where the tool keeps nothing else."""
    found: dict[str, float] | None = row.get("itl_s") or row.get("mean_itl_s")
    return found


def values(rows: Sequence[Row], what: str, which: str) -> list[float]:
    return [row[what][which] for row in rows if row[what]]


def cpu(rows: Sequence[Row]) -> list[float]:
    return [row["cpu_per_event_s"] for row in rows if row["cpu_per_event_s"] is not None]


def middle(found: Sequence[float]) -> float | None:
    return median(found) if found else None


def spread(found: Sequence[float], scale: float, form: str = ",.0f") -> str:
    """median (least..most), or a dash without values."""
    if not found:
        return "-"
    told = [format(one * scale, form) for one in (median(found), min(found), max(found))]
    return told[0] if len(found) == 1 else f"{told[0]} ({told[1]}..{told[2]})"
