"""One model over different numbers of cards, or split in different ways. Pure."""

from collections.abc import Iterable, Sequence

from dashboard.levels import Level, families


def splits(found: Iterable[Level]) -> list[list[Sequence[Level]]]:
    """Families of one build that differ in tensor and expert parallelism only, where there are at
    least two of them, fewest cards first."""
    groups: dict[tuple[str, str], list[Sequence[Level]]] = {}
    for own in families(found):
        alone = own[0].cell.family.model_copy(update={"tensor_parallel": 1, "expert_parallel": 1})
        groups.setdefault((alone.key, own[0].build), []).append(own)
    return [sorted(group, key=_cards) for group in groups.values() if len(group) > 1]


def _cards(found: Sequence[Level]) -> tuple[int, int]:
    family = found[0].cell.family
    return family.tensor_parallel, family.expert_parallel


def split_words(found: Sequence[Level]) -> str:
    """`TP 2`, `TP 2 EP 2`."""
    tensor, expert = _cards(found)
    return f"TP {tensor}" + (f" EP {expert}" if expert > 1 else "")


def beside(group: Sequence[Sequence[Level]]) -> list[list[Level]]:
    """For each load of the first family, the levels of all families that served it."""
    others = [{own.cell.workload: own for own in found} for found in group]
    return [
        [found[own.cell.workload] for found in others if own.cell.workload in found]
        for own in group[0]
    ]
