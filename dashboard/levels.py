"""Levels: what a build shows in a cell over all its launches, and how two of them relate. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schema.cells import Cell, Workload
from schema.models import Weights
from schema.store.values import Value
from stats.rank_test import rank_test
from stats.samples import median
from stats.spread import Variation, variation

LEAST_LAUNCHES = 3
"""That a spread is told of."""
LEAST_TESTED = 5
"""Of each side that a p is told of: that of 4 v 4 is never below 0.029."""


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

    def of(self, metric: str) -> Sequence[float]:
        """One value a launch that could estimate it."""
        return self.values.get(metric, ())

    def middle(self, metric: str) -> float | None:
        """Median over launches."""
        return median(self.values[metric]) if metric in self.values else None


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One metric of two levels, set against each other."""

    metric: str
    over: Level
    under: Level

    @property
    def value(self) -> float | None:
        """Median over median."""
        over, under = self.over.middle(self.metric), self.under.middle(self.metric)
        return None if over is None or not under else over / under

    @property
    def cv(self) -> float | None:
        """Its coefficient of variation by those of both sides; None where one has none."""
        told = [spread(own.of(self.metric)) for own in (self.over, self.under)]
        known = [one.cv**2 for one in told if one is not None]
        return sum(known) ** 0.5 if len(known) == len(told) else None

    @property
    def p(self) -> float | None:
        """Of the exact Mann-Whitney test, from LEAST_TESTED launches of each side on."""
        over, under = self.over.of(self.metric), self.under.of(self.metric)
        return rank_test(under, over) if min(len(over), len(under)) >= LEAST_TESTED else None


def spread(values: Sequence[float]) -> Variation | None:
    """How launches scatter; None of fewer than LEAST_LAUNCHES."""
    return variation([values]) if len(values) >= LEAST_LAUNCHES else None


def levels_of(values: Iterable[Value], cells: Mapping[str, Cell]) -> list[Level]:
    """One for each build and cell (by key), in the order in which people read them; families that
    return their experts are not timed and have none."""
    groups: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        if not cells[value.cell].family.returns_experts:
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
