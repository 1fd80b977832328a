"""The requests of a whole launch, drawn before it takes its device."""

from typing import TypeAlias

from runners.errors import BadRequestFile
from runners.recorded.requests import forget
from runners.workload import Draft, draw
from schema.cells import Cell
from schema.nights import PlannedLaunch

Drawn: TypeAlias = tuple[Draft, ...] | BadRequestFile
"""The requests of one cell, or why its file gives none."""


def seed_of(cell: Cell, replicate: int) -> int:
    """What the trial's requests are drawn from: another one for every replicate."""
    return cell.workload.seed + replicate


def draw_all(plan: PlannedLaunch) -> dict[str, Drawn]:
    """The requests of every cell by its slug, or why there are none.

    Raises BadRequestFile when no cell has any: then no engine needs to start.
    """
    found: dict[str, Drawn] = {}
    for cell in plan.cells:
        vocabulary = cell.family.model.vocabulary
        seed = seed_of(cell, plan.replicate)
        try:
            found[cell.slug] = draw(cell.workload, seed=seed, vocabulary=vocabulary)
        except BadRequestFile as error:
            found[cell.slug] = error
    forget()
    lost = [str(one) for one in found.values() if isinstance(one, BadRequestFile)]
    if len(lost) == len(found):
        raise BadRequestFile("\n".join(dict.fromkeys(lost)))
    return found
