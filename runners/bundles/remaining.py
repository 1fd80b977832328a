"""Which launches are left, given the documents that are in the spool. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runners.launch import may_pass
from schema.cells import Cell
from schema.nights import PlannedLaunch
from schema.trials import Arm, Launch, TrialState

LONGER = 1.15
"""A launch may take this much longer than the longest one seen that was alike."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a document in the spool says, without its requests."""

    arm: Arm
    build: str
    replicate: int
    attempt: int
    family: str
    duration_s: float
    caches_warm: bool
    states: dict[str, TrialState]
    """By key of the cell."""
    may_pass: bool
    """Whether trials that are not valid may be when they are tried again."""

    @classmethod
    def of(cls, document: Launch) -> "Made":
        return cls(
            arm=document.arm,
            build=f"{document.build.engine}=={document.build.version}",
            replicate=document.replicate,
            attempt=document.attempt,
            family=document.trials[0].cell.family.key,
            duration_s=document.duration_s,
            caches_warm=bool(document.caches_warm),
            states={trial.cell.key: trial.state for trial in document.trials},
            may_pass=may_pass(document),
        )


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """A launch to make: the planned one with the cells that it still has to serve."""

    planned: PlannedLaunch
    attempt: int
    tried: int
    """How often its least tried cell ended without being valid."""

    @property
    def family(self) -> str:
        return self.planned.cells[0].family.key


def remaining(
    launches: Iterable[PlannedLaunch], made: Sequence[Made], attempts: int
) -> list[Remaining]:
    """Launches to make, the least tried first, in planned order among those.

    A cell is done with a valid trial, after `attempts` trials that are not, or when another one
    would end the same way. A launch that was cut off has cells that were not tried: it comes first.
    """
    left = [found for one in launches if (found := _remaining(one, made, attempts))]
    return sorted(left, key=lambda one: one.tried)


def spoiled(
    launches: Iterable[PlannedLaunch], made: Sequence[Made], attempts: int
) -> Iterator[str]:
    """The cells of launches that are done without a valid trial of them."""
    for planned in launches:
        own = _of(planned, made)
        for cell in planned.cells:
            if _is_done(cell, own, attempts) and TrialState.VALID not in _states(cell, own):
                yield f"{planned.label}: {cell.workload.name}"


def longest_s(family: str, made: Sequence[Made]) -> float | None:
    """How long a launch of the family may take, by those seen; of any family when none was.

    The first launch of a family compiles what later ones find in the caches: once one of those was
    seen that served as many cells as any, the others say no more.
    """
    own = [one for one in made if one.family == family]
    most = max((len(one.states) for one in own), default=0)
    alike = [one for one in own if one.caches_warm and len(one.states) == most] or own or made
    return max((one.duration_s for one in alike), default=0.0) * LONGER or None


def _remaining(planned: PlannedLaunch, made: Sequence[Made], attempts: int) -> Remaining | None:
    own = _of(planned, made)
    cells = tuple(cell for cell in planned.cells if not _is_done(cell, own, attempts))
    if not cells:
        return None
    return Remaining(
        planned=planned.model_copy(update={"cells": cells}),
        attempt=1 + max((one.attempt for one in own), default=0),
        tried=min(len(_states(cell, own)) for cell in cells),
    )


def _of(planned: PlannedLaunch, made: Sequence[Made]) -> list[Made]:
    same = (planned.arm, str(planned.build), planned.replicate)
    keys = {cell.key for cell in planned.cells}
    return [
        one
        for one in made
        if (one.arm, one.build, one.replicate) == same and keys & one.states.keys()
    ]


def _states(cell: Cell, own: Sequence[Made]) -> list[TrialState]:
    return [one.states[cell.key] for one in own if cell.key in one.states]


def _is_done(cell: Cell, own: Sequence[Made], attempts: int) -> bool:
    states = _states(cell, own)
    hopeless = any(cell.key in one.states and not one.may_pass for one in own)
    return TrialState.VALID in states or len(states) >= attempts or hopeless
