"""Costs: how long launches kept their cards."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schema.cells import Cell, Gpu
from schema.tables import CellRow, LaunchRow, TrialRow
from schema.trials import TrialState


@dataclass(frozen=True, kw_only=True)
class LaunchCost:
    """One launch, from taking its device to giving it back."""

    night: str
    family: str
    """Key of the family that it served."""
    gpu: Gpu
    hours: float
    """Times the cards that it held: GPU-hours. On a host without a GPU, hours."""
    valid_trials: int


def launch_costs(session: Session, nights: Sequence[str]) -> list[LaunchCost]:
    """Every launch of these nights that has a trial, further attempts included, by its start.

    Documents that one engine start left one after the other are one launch.
    """
    row = LaunchRow
    start = (row.started_at, row.night, row.arm, row.replicate, row.attempt, row.build, row.host)
    valid = func.count(TrialRow.key).filter(TrialRow.state == TrialState.VALID)
    ended = func.max(row.ended_at)
    statement = (
        select(row.night, func.min(TrialRow.cell), row.started_at, ended, valid)
        .join(TrialRow, TrialRow.launch == row.key)
        .where(row.night.in_(nights))
        .group_by(*start)
        .order_by(*start)
    )
    rows = list(session.execute(statement))
    wanted = select(CellRow).where(CellRow.key.in_({row[1] for row in rows}))
    families = {
        row.key: Cell.model_validate(row.document).family for row in session.scalars(wanted)
    }
    return [
        LaunchCost(
            night=night,
            family=families[cell].key,
            gpu=families[cell].gpu,
            hours=(ended - started).total_seconds() / 3600 * families[cell].devices,
            valid_trials=count,
        )
        for night, cell, started, ended, count in rows
    ]
