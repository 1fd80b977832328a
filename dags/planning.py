"""From what was asked to the launches that will be made, in their order. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from schema.cells import Cell, Engine, Family
from schema.confirmations import Confirmation
from schema.matrix import Matrix
from schema.nights import Night, NightKind, PlannedLaunch
from schema.trials import Arm, BuildSpec

Sides: TypeAlias = Mapping[Engine, tuple[tuple[Arm, BuildSpec], ...]]
"""What runs in turns, by engine."""


def plan_release(
    matrix: Matrix,
    cells: Sequence[Cell],
    *,
    name: str,
    contender: BuildSpec,
    baseline: BuildSpec,
    launches: int,
) -> tuple[Night, list[PlannedLaunch]]:
    """A contender against a baseline, `launches` a side and family, interleaved.

    Raises ValueError when no cell runs on the asked engine.
    """
    chosen = tuple(cell for cell in cells if cell.family.engine is contender.engine)
    if not chosen:
        raise ValueError(f"no cell of matrix {matrix.name} runs on {contender.engine}")
    families = matrix.families(chosen)
    sides = ((Arm.RELEASE_BASELINE, baseline), (Arm.RELEASE_CONTENDER, contender))
    planned = list(_interleaved(name, families, {contender.engine: sides}, launches))
    night = Night(
        name=name,
        kind=NightKind.RELEASE,
        matrix=matrix.name,
        matrix_digest=matrix.digest,
        contenders=(str(contender),),
        baselines=(str(baseline),),
        cells=chosen,
        launches=len(planned),
    )
    return night, planned


def _interleaved(
    name: str, families: dict[Family, tuple[Cell, ...]], sides: Sides, launches: int
) -> Iterator[PlannedLaunch]:
    """ABBA: a slow drift of the host meets both sides alike (peers' common protocol)."""
    for replicate in range(launches):
        for family, cells in families.items():
            yield from _turn(name, cells, sides[family.engine], replicate)


def _turn(
    name: str,
    cells: tuple[Cell, ...],
    sides: Sequence[tuple[Arm, BuildSpec]],
    replicate: int,
) -> Iterator[PlannedLaunch]:
    """One launch of each side, every other time in the opposite order."""
    for arm, build in sides if replicate % 2 == 0 else sides[::-1]:
        yield PlannedLaunch(night=name, arm=arm, build=build, cells=cells, replicate=replicate)


def plan_confirmation(
    night: Night, confirmations: Sequence[Confirmation]
) -> tuple[PlannedLaunch, ...]:
    """The launches of a night's confirmations: one after the other, each with its builds in turns.

    A cell that several episodes share is measured once.
    """
    cells = {cell.key: cell for cell in night.cells}
    asked = {one.cell: one for one in reversed(confirmations) if one.launches}
    planned: list[PlannedLaunch] = []
    for one in reversed(asked.values()):
        if one.cell is not None and one.builds is not None:
            good, tonight = map(BuildSpec.parse, one.builds)
            sides = ((Arm.CONFIRM_BASELINE, good), (Arm.CONFIRM_CONTENDER, tonight))
            for replicate in range(one.launches):
                planned += _turn(night.name, (cells[one.cell],), sides, replicate)
    return tuple(planned)


def plan_nightly(
    matrix: Matrix,
    builds: Sequence[BuildSpec],
    *,
    name: str,
    cells: Sequence[Cell] | None = None,
    launches: int | None = None,
) -> tuple[Night, list[PlannedLaunch]]:
    """Every cell (or of those given) whose engine has a build tonight, round by round over the
    families; as often as the matrix says unless `launches` does.

    Where the matrix pins a control build for the engine, its launches alternate with tonight's:
    a pinned build that moves is the host's witness.

    Raises ValueError when an engine is named twice or no cell runs on any of them.
    """
    by_engine = {build.engine: build for build in builds}
    if len(by_engine) < len(builds):
        raise ValueError(f"one build an engine: {', '.join(map(str, builds))}")
    asked = matrix.cells if cells is None else cells
    chosen = tuple(cell for cell in asked if cell.family.engine in by_engine)
    if not chosen:
        engines = " or ".join(by_engine) or "no engine"
        raise ValueError(f"no cell of matrix {matrix.name} runs on {engines}")
    control = {build.engine: ((Arm.CONTROL, build),) for build in matrix.control}
    sides = {
        engine: ((Arm.NIGHTLY, build), *control.get(engine, ()))
        for engine, build in by_engine.items()
    }
    families = matrix.families(chosen)
    planned = list(_interleaved(name, families, sides, launches or matrix.launches))
    night = Night(
        name=name,
        kind=NightKind.NIGHTLY,
        matrix=matrix.name,
        matrix_digest=matrix.digest,
        contenders=tuple(map(str, builds)),
        cells=chosen,
        launches=len(planned),
    )
    return night, planned
