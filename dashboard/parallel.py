"""One model over different numbers of cards, or split in different ways, side by side. Pure.

No verdict is made of it: a split is a cell of its own, and a comparison is of builds (decision 28).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.levels import Level, Ratio, families

COMPARED = {
    "output_throughput": "throughput",
    "itl_p50": "ITL P50",
    "itl_p99": "ITL P99",
    "gpu_memory_peak": "peak of a card",
    "gpu_busy": "cards busy",
}
"""Metrics that tell what a split is worth, in the words of a table."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A model as one build served it under two splits."""

    over: Sequence[Level]
    under: Sequence[Level]
    """What the other is set against."""

    @property
    def words(self) -> tuple[str, str]:
        """(what is set against, the other): `TP 2`, `TP 2 EP 2`."""
        return split_words(self.under), split_words(self.over)

    @property
    def ratios(self) -> list[Ratio]:
        """For each load that both served, in reading order, every metric that both told."""
        under = {own.cell.workload: own for own in self.under}
        return [
            Ratio(metric=metric, over=own, under=under[own.cell.workload])
            for own in self.over
            if own.cell.workload in under
            for metric in COMPARED
            if own.of(metric) and under[own.cell.workload].of(metric)
        ]


def contrasts(found: Iterable[Level]) -> list[Contrast]:
    """TP n against the fewest cards; EP against as many cards without it.

    Of families of one build that differ in nothing but tensor and expert parallelism.
    """
    groups: dict[tuple[str, str], dict[tuple[int, int], Sequence[Level]]] = {}
    for own in families(found):
        plain = own[0].cell.family.model_copy(update={"tensor_parallel": 1, "expert_parallel": 1})
        groups.setdefault((plain.key, own[0].build), {})[_split(own)] = own
    made = [
        Contrast(over=group[split], under=group[other])
        for group in groups.values()
        for split in sorted(group)
        if (other := _set_against(split, group)) is not None
    ]
    return [one for one in made if one.ratios]


def _set_against(
    split: tuple[int, int], group: Iterable[tuple[int, int]]
) -> tuple[int, int] | None:
    tensor, expert = split
    if expert > 1:
        return (tensor, 1) if (tensor, 1) in group else None
    fewest = min(own for own in group if own[1] == 1)
    return None if fewest == split else fewest


def _split(found: Sequence[Level]) -> tuple[int, int]:
    family = found[0].cell.family
    return family.tensor_parallel, family.expert_parallel


def split_words(found: Sequence[Level]) -> str:
    """`TP 2`, `TP 2 EP 2`."""
    tensor, expert = _split(found)
    return f"TP {tensor}" + (f" EP {expert}" if expert > 1 else "")
