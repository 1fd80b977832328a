"""Which families can exist: shapes that divide over the cards, lengths the model knows, memory."""

from collections.abc import Iterable, Iterator

from schema.cells import Family, Workload
from schema.memory import fit


def obstacles(family: Family, workloads: Iterable[Workload]) -> Iterator[tuple[str | None, str]]:
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
