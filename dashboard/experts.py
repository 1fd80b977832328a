"""Which experts were chosen: the latest selections of each build and cell, in words. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.levels import model_words
from dashboard.units import number
from schema.cells import RETURNS_EXPERTS, Cell
from schema.models import Weights
from schema.selections import Selections
from schema.store.values import Value
from schema.trials import variant_named

METRIC = "expert_balance"
REFUSAL = "ExpertsNotReturned"
"""First word of the reason of a trial whose engine would not return experts."""
ABOUT = (
    "Share: selections of an expert over those of an even choice, 1 is even. The balance of a "
    "layer is the mean over the largest number of selections of an expert, 1 when even and 1 over "
    "the number of experts at worst. From launches of their own, in which nothing was timed."
)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the routers of one build and cell chose."""

    cell: Cell
    build: str
    """Engine and version."""
    night: str
    """Of the latest launch, whose selections these are."""
    trial: str
    """Its key."""
    selections: Selections
    balances: Sequence[float]
    """`expert_balance` of every launch, oldest first."""

    @property
    def name(self) -> str:
        """`h100: Mixtral-8x7B-Instruct-v0.1 fp8, dummy weights, vllm 0.25.1`."""
        settings = tuple(own for own in self.cell.family.settings if own[0] != RETURNS_EXPERTS)
        family = self.cell.family.model_copy(update={"settings": settings})
        plain = self.cell.model_copy(update={"family": family})
        return f"{family.gpu}: {model_words(plain)}, {self.build}"

    @property
    def least_even(self) -> int:
        """The layer whose balance is lowest, from 0."""
        balances = self.selections.balances
        return balances.index(min(balances))

    @property
    def extremes(self) -> tuple[float, float]:
        """(lowest, highest) share of an expert in a layer."""
        every = [share for layer in self.selections.shares for share in layer]
        return min(every), max(every)


def trials_of(values: Iterable[Value]) -> list[str]:
    """Keys of the trials that have selections."""
    return [value.trial for value in values if value.metric == METRIC]


def chosen(
    values: Iterable[Value], cells: Mapping[str, Cell], kept: Mapping[str, Selections]
) -> list[Chosen]:
    """One for each build and cell, by its name. Values are oldest first, `kept` is by trial."""
    groups: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        if value.metric == METRIC:
            groups.setdefault((value.cell, value.build_name), []).append(value)
    found = [
        Chosen(
            cell=cells[cell],
            build=build,
            night=own[-1].night,
            trial=own[-1].trial,
            selections=kept[own[-1].trial],
            balances=[value.value for value in own],
        )
        for (cell, build), own in groups.items()
    ]
    return sorted(found, key=lambda one: one.name)


def sentence(own: Chosen) -> str:
    """How even the choice was, where it was least so, and whose weights these are."""
    seen, (low, high) = own.selections, own.extremes
    least = own.least_even
    where = (
        "every layer chose the same"
        if len(set(seen.counts)) == 1 < seen.layers
        else f"least in layer {least} ({number(seen.balances[least])})"
    )
    return (
        f"Balance {number(seen.balance)} over {seen.layers} layers, {where}; "
        f"shares from {number(low)} to {number(high)}. "
        f"{seen.requests:,} requests, {seen.tokens:,} routed tokens, {own.night}."
        f"{_whose(own)}"
    )


def _whose(own: Chosen) -> str:
    """Reservations about who chose."""
    altered = variant_named(own.build)
    told = f" The build is altered (+{altered})." if altered else ""
    if own.cell.family.model.weights is Weights.DUMMY:
        told += " The weights are dummy: it was not the model's own routers that chose."
    return told


def refused(reason: str) -> str | None:
    """What of a failed trial's reason is the finding; None when nothing was refused."""
    name, _, said = reason.partition(": ")
    return said if name == REFUSAL else None
