"""Sparse models beside dense ones: which belong together, and what sets them apart. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.levels import Level, Ratio, families, load_words
from dashboard.units import NONE, times
from schema.cells import Family
from schema.words import digest
from stats.batch_curve import Step, bend, experts_read

NO_PAIR = (
    "No sparse model was measured beside a dense one: on one kind of GPU, by one build, under the "
    "same load, both with valid trials. `tailwatch record examples/hopper-2026-11` records two "
    "that were."
)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A sparse and a dense model that one build served on one kind of GPU."""

    sparse: Sequence[Level]
    dense: Sequence[Level]

    @property
    def key(self) -> str:
        return digest([_first(self.sparse).key, _first(self.dense).key, self.build])

    @property
    def build(self) -> str:
        return self.sparse[0].build

    @property
    def name(self) -> str:
        """`h200, vllm 0.25.1: Mixtral-8x7B-Instruct-v0.1 fp8 beside Llama-3.1-8B bf16`."""
        sparse, dense = _first(self.sparse), _first(self.dense)
        cards = f" x {sparse.tensor_parallel}" if sparse.tensor_parallel > 1 else ""
        return f"{sparse.gpu}{cards}, {self.build}: {_model(sparse)} beside {_model(dense)}"

    @property
    def loads(self) -> list[tuple[Level, Level]]:
        """(sparse, dense) under one and the same workload, in reading order."""
        dense = {own.cell.workload: own for own in self.dense}
        return [
            (own, dense[own.cell.workload]) for own in self.sparse if own.cell.workload in dense
        ]


def pairs(found: Iterable[Level]) -> list[Pair]:
    """Every sparse family with each dense one of the same build, GPU and number of cards.

    Of the same precision where there is one; otherwise with those that there are.
    """
    together = families(found)
    sparse = [own for own in together if _first(own).model.is_moe]
    dense = [own for own in together if not _first(own).model.is_moe]
    made = []
    for own in sparse:
        beside = [other for other in dense if _comparable(own, other)]
        alike = [one for one in beside if _first(one).precision is _first(own).precision]
        made += [Pair(sparse=own, dense=other) for other in alike or beside]
    return [pair for pair in made if pair.loads]


def _comparable(sparse: Sequence[Level], dense: Sequence[Level]) -> bool:
    one, other = _first(sparse), _first(dense)
    place = (one.gpu, one.tensor_parallel, one.settings)
    return sparse[0].build == dense[0].build and place == (
        *(other.gpu, other.tensor_parallel, other.settings),
    )


def ratio(sparse: Level, dense: Level, metric: str) -> float | None:
    """Median of the sparse model over that of the dense one."""
    return Ratio(metric=metric, over=sparse, under=dense).value


def batch_curve(found: Iterable[Level]) -> dict[int, float]:
    """Median throughput, tok/s, by the number of requests in flight of each closed loop."""
    curve = {
        own.cell.workload.concurrency: own.middle("output_throughput")
        for own in found
        if own.cell.workload.concurrency
    }
    return {batch: value for batch, value in curve.items() if batch and value}


def bend_words(step: Step | None) -> str:
    """`from batch 1 to 8 (x 1.44 a doubling)`."""
    if step is None:
        return "not told by fewer than three batches"
    return f"from batch {step.low} to {step.high} ({times(step.gain)} a doubling)"


def experts_words(own: Level) -> str:
    """`7.2 of 8` experts of a layer that a batch reads; a dash where no batch is fixed."""
    model, batch = own.cell.family.model, own.cell.workload.concurrency
    if batch is None:
        return NONE
    return f"{experts_read(model.experts, model.active_experts, batch):.1f} of {model.experts}"


def headline(pair: Pair) -> tuple[str, list[str]]:
    """What one sees: a sentence, and quieter ones below it."""
    sparse, dense = _first(pair.sparse), _first(pair.dense)
    told = [
        (value, load_words(own.cell.workload))
        for own, other in _ends(pair)
        if (value := ratio(own, other, "output_throughput")) is not None
    ]
    top = f"{_model(sparse)} beside {_model(dense)}"
    if told:
        (first, load), *rest = told
        top = f"{_model(sparse)} makes {first:.2f} times the tokens of {_model(dense)} at {load}"
        top += "".join(f", {value:.2f} times at {other}" for value, other in rest)
    bends = (
        "A doubling of the batch gains least "
        f"{bend_words(bend(batch_curve(pair.sparse)))} with the sparse model, "
        f"{bend_words(bend(batch_curve(pair.dense)))} with the dense one."
    )
    active = sparse.model.active_parameters / dense.model.active_parameters
    held = sparse.model.parameters / dense.model.parameters
    weight = (
        f"A token touches {active:.1f} times the parameters, and the card holds {held:.1f} times "
        "as many."
    )
    return top, [bends, weight, weights_line((sparse, dense))]


def weights_line(found: Sequence[Family]) -> str:
    """What the weights were; dummy ones say nothing about the balance of experts."""
    kinds = {str(own.model.weights) for own in found}
    if kinds == {"real"}:
        return "Weights are those of the checkpoints."
    return (
        "Weights are dummy, of the true shape: speed and memory are those of the models, the "
        "balance of the experts is not."
    )


def _ends(pair: Pair) -> list[tuple[Level, Level]]:
    """Under the smallest batch and the largest, or whatever load comes first and last."""
    closed = [one for one in pair.loads if one[0].cell.workload.concurrency] or pair.loads
    return [closed[0], closed[-1]] if len(closed) > 1 else closed


def memory(found: Sequence[Level]) -> Mapping[str, float]:
    """Median of each memory metric over the launches of a family; the peak is the highest of its
    loads, which all of its launches served."""
    largest = max(found, key=lambda own: own.middle("gpu_memory_peak") or 0.0)
    return {name: value for name in largest.values if (value := largest.middle(name)) is not None}


def bytes_per_active_parameter(found: Sequence[Level]) -> float | None:
    """Weights of all cards over the parameters that a token touches, B."""
    family, weights = _first(found), memory(found).get("weight_memory")
    if weights is None:
        return None
    return weights * family.tensor_parallel / family.model.active_parameters


def _first(found: Sequence[Level]) -> Family:
    return found[0].cell.family


def _model(family: Family) -> str:
    expert = f" EP {family.expert_parallel}" if family.expert_parallel > 1 else ""
    return f"{family.model.short_name} {family.precision}{expert}"
