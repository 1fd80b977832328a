"""What launches cost, whatever became of them."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from schema.cells import Cell, Gpu
from schema.nights import Night
from schema.store.costs import launch_costs
from schema.store.launches import record
from schema.store.nights import record_night
from schema.trials import Launch, Trial, TrialState

NIGHT = "2026-11-22"


@pytest.fixture
def cells(session: Session, make_night: Callable[..., Night]) -> tuple[Cell, ...]:
    plan = make_night()
    record_night(session, plan)
    return plan.cells


def test_a_launch_costs_its_time_whatever_became_of_it(
    session: Session,
    cells: tuple[Cell, ...],
    make_launch: Callable[..., Launch],
    make_trial: Callable[..., Trial],
) -> None:
    failed = tuple(make_trial(cell, state=TrialState.FAILED) for cell in cells)
    record(session, make_launch(trials=failed))
    record(session, make_launch(cells, attempt=2))
    found = launch_costs(session, [NIGHT])
    assert [one.valid_trials for one in found] == [0, 2]
    assert [one.hours for one in found] == [pytest.approx(0.05)] * 2
    assert {(one.night, one.family, one.gpu) for one in found} == {
        (NIGHT, cells[0].family.key, Gpu.H100)
    }
    assert launch_costs(session, ["2026-11-21"]) == []


def test_every_card_of_a_launch_counts(
    session: Session, cells: tuple[Cell, ...], make_launch: Callable[..., Launch]
) -> None:
    family = cells[0].family.model_copy(update={"tensor_parallel": 4})
    record(session, make_launch([cells[0].model_copy(update={"family": family})]))
    [cost] = launch_costs(session, [NIGHT])
    assert cost.hours == pytest.approx(4 * 0.05)


def test_documents_of_one_engine_start_are_one_launch(
    session: Session, cells: tuple[Cell, ...], make_launch: Callable[..., Launch]
) -> None:
    whole = make_launch(cells)
    first = whole.model_copy(update={"trials": whole.trials[:1]})
    record(session, first)
    record(session, whole)
    [cost] = launch_costs(session, [NIGHT])
    assert (cost.hours, cost.valid_trials) == (pytest.approx(0.05), 2)
