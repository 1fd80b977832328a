"""Which families can exist: shapes that divide over the cards, lengths the model knows, memory."""

from collections.abc import Iterator, Sequence

from schema.arrivals import Arrival
from schema.cells import RETURNS_EXPERTS, Family, Workload
from schema.memory import fit


def obstacles(family: Family, workloads: Sequence[Workload]) -> Iterator[tuple[str | None, str]]:
    """Why no engine can serve it: (field of the family that is wrong, what is wrong).

    The field is None when only all of them together are too much, with the memory arithmetic.
    """
    model, cards = family.model, family.tensor_parallel
    if model.heads % cards:
        yield "tensor_parallel", f"{cards} does not divide {model.heads} heads"
    for what in _expert_obstacles(family):
        yield "expert_parallel", what
    if family.max_model_len > model.max_position:
        longest = f"max_position {model.max_position} of {model.short_name}"
        yield "max_model_len", f"{family.max_model_len} exceeds {longest}"
    for what in _untimed_obstacles(family, workloads):
        yield "settings", what
    memory = fit(family, workloads)
    if not memory.fits:
        yield None, memory.explanation


def _expert_obstacles(family: Family) -> Iterator[str]:
    model, cards, parts = family.model, family.tensor_parallel, family.expert_parallel
    if parts > 1 and not model.is_moe:
        yield f"{model.short_name} is dense: it has no experts"
    elif model.experts % parts:
        yield f"{parts} does not divide {model.experts} experts"
    if parts not in (1, cards):
        # Both engines spread experts over the cards of one tensor-parallel group.
        yield f"{parts} must be 1 or tensor_parallel ({cards})"


def _untimed_obstacles(family: Family, workloads: Sequence[Workload]) -> Iterator[str]:
    if not family.returns_experts:
        return
    if not family.model.is_moe:
        yield f"{RETURNS_EXPERTS}: {family.model.short_name} is dense: it has no experts"
    rated = [one.name for one in workloads if one.arrival is Arrival.OPEN_LOOP]
    if rated:
        yield (
            f"{RETURNS_EXPERTS} times nothing, so {', '.join(rated)} cannot have a rate: name "
            "closed-loop or offline workloads"
        )
