"""What could not be decided, told once for each reason. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from schema.judgements import Judgement, Verdict
from schema.metrics import METRICS

_ORDER = {name: place for place, name in enumerate(METRICS)}


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """Metrics that share, in all these cells, the reason for which nothing can be said."""

    cells: tuple[str, ...]
    """Keys."""
    metrics: tuple[str, ...]
    reason: str

    @property
    def count(self) -> int:
        """Comparisons."""
        return len(self.cells) * len(self.metrics)


def undecided(judgements: Iterable[Judgement]) -> tuple[Undecided, ...]:
    """The inconclusive ones by reason. Last, what the workload as planned cannot estimate: that is
    so every night, and no further trial changes it."""
    inconclusive = [one for one in judgements if one.verdict is Verdict.INCONCLUSIVE]
    by_cell: dict[tuple[bool, str, str], list[str]] = {}
    for one in sorted(inconclusive, key=reading_order):
        group = (_is_planned(one), one.reason, one.comparison.cell)
        by_cell.setdefault(group, []).append(one.comparison.metric)
    cells: dict[tuple[bool, str, tuple[str, ...]], list[str]] = {}
    for (planned, reason, cell), metrics in by_cell.items():
        cells.setdefault((planned, reason, tuple(metrics)), []).append(cell)
    return tuple(
        Undecided(cells=tuple(own), metrics=metrics, reason=reason)
        for (_, reason, metrics), own in sorted(cells.items(), key=lambda item: item[0][0])
    )


def _is_planned(judgement: Judgement) -> bool:
    return any(warning.code == "not-estimable" for warning in judgement.comparison.warnings)


def reading_order(judgement: Judgement) -> tuple[str, int]:
    """Cell by cell, each with its metrics in the order of METRICS."""
    return judgement.comparison.cell, _ORDER.get(judgement.comparison.metric, len(_ORDER))
