"""Levels: what a build shows in a cell, over every launch that measured it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schema.cells import Cell, Workload
from schema.models import Weights
from schema.store.values import Value
from stats.samples import median


@dataclass(frozen=True, kw_only=True)
class Level:
    """One build in one cell: the valid trials of all nights and arms."""

    cell: Cell
    build: str
    """Engine and version."""
    values: Mapping[str, Sequence[float]]
    """One value a trial by metric, base units, oldest first; a metric that none could estimate is
    absent."""
    trials: tuple[str, ...]
    """Keys, oldest first."""
    nights: tuple[str, ...]

    @property
    def launches(self) -> int:
        """Each gave one trial."""
        return len(self.trials)

    def middle(self, metric: str) -> float | None:
        """Median over launches."""
        return median(self.values[metric]) if metric in self.values else None


def levels_of(values: Iterable[Value], cells: Mapping[str, Cell]) -> list[Level]:
    """One for each build and cell (by key), in the order in which people read them."""
    groups: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        groups.setdefault((value.cell, value.build_name), []).append(value)
    found = [_level(cells[cell], build, own) for (cell, build), own in groups.items()]
    return sorted(found, key=_place)


def _level(cell: Cell, build: str, own: Sequence[Value]) -> Level:
    by_metric: dict[str, list[float]] = {}
    for value in own:
        by_metric.setdefault(value.metric, []).append(value.value)
    return Level(
        cell=cell,
        build=build,
        values=by_metric,
        trials=tuple(dict.fromkeys(value.trial for value in own)),
        nights=tuple(dict.fromkeys(value.night for value in own)),
    )


def _place(own: Level) -> tuple[object, ...]:
    family = own.cell.family
    cards = (family.tensor_parallel, family.expert_parallel)
    what = (family.gpu, not family.model.is_moe, family.model.name, family.precision)
    return (*what, *cards, own.build, family.slug, load_order(own.cell.workload), own.cell.key)


def load_order(workload: Workload) -> tuple[str, float, str]:
    """Closed loops by requests in flight, then open loops by rate."""
    return workload.arrival, workload.concurrency or workload.rate or 0.0, workload.name


def load_words(workload: Workload) -> str:
    """`batch 8`: so many requests in flight; `2 req/s`; otherwise the workload's name."""
    if workload.concurrency:
        return f"batch {workload.concurrency}"
    return f"{workload.rate:g} req/s" if workload.rate else workload.name


def model_words(cell: Cell) -> str:
    """`Mixtral-8x7B-Instruct-v0.1 fp8, dummy weights`, and whatever else is not plain."""
    family = cell.family
    words = f"{family.model.short_name} {family.precision}"
    if family.tensor_parallel > 1:
        words += f" TP {family.tensor_parallel}"
    if family.expert_parallel > 1:
        words += f" EP {family.expert_parallel}"
    words += "".join(f" {flag}" if value is None else f" {flag} {value}"
                     for flag, value in family.settings)  # fmt: skip
    return words + (", dummy weights" if family.model.weights is Weights.DUMMY else "")


def families(found: Iterable[Level]) -> list[list[Level]]:
    """Levels of one build and family together: what the same launches served."""
    groups: dict[tuple[str, str], list[Level]] = {}
    for own in found:
        groups.setdefault((own.cell.family.key, own.build), []).append(own)
    return list(groups.values())
