"""Expert parallelism with one request in flight: two levels of ITL, and how likely each is."""

from collections.abc import Callable
from itertools import combinations, product

import pytest
from sqlalchemy.orm import Session

from dashboard.units import NONE, times
from regressions.policy import read_policy
from schema.arrivals import Arrival
from schema.cells import Cell, Family, Gpu
from schema.requests import Request, Requests
from schema.store.launches import record
from schema.store.nights import record_night
from schema.trials import Trial
from tailwatch.measurements.document import document
from tailwatch.measurements.found import find
from tailwatch.measurements.gaps import within
from tailwatch.measurements.placement import shares_a_card

Make = Callable[..., object]
FAST, SLOW = 0.006, 0.008


def _sent(gaps: list[float]) -> Requests:
    """One request after the other, each with a gap of its own."""
    return Requests.of([
        Request(
            index=index, scheduled_s=index, sent_s=index, input_tokens=8, output_tokens=9,
            event_s=tuple(index + 0.1 + gap * token for token in range(9)),
            event_tokens=tuple(range(1, 10)),
        )
        for index, gap in enumerate(gaps)
    ])  # fmt: skip


def test_two_levels_have_nothing_between_them() -> None:
    found = within(_sent([FAST] * 5 + [SLOW] * 3))
    assert found is not None
    assert (found.ends.low, found.ends.high) == pytest.approx((FAST, SLOW))
    assert (found.ends.slow, found.ends.between) == (pytest.approx(3 / 8), 0)
    assert found.itl_mean == pytest.approx((5 * FAST + 3 * SLOW) / 8)


def test_one_hump_has_more_than_a_quarter_between_its_ends() -> None:
    found = within(_sent([FAST + 0.00001 * step for step in range(100)]))
    assert found is not None
    assert found.ends.between == pytest.approx(0.8 / 3, abs=0.011)
    assert found.ends.slow == pytest.approx(0.5, abs=0.011)


@pytest.mark.parametrize(("cards", "each"), list(product(range(1, 5), range(1, 4))))
@pytest.mark.parametrize("active", range(1, 5))
def test_the_chance_to_share_a_card_is_that_of_every_choice_counted(
    cards: int, each: int, active: int, make_cell: Callable[..., Cell]
) -> None:
    experts = cards * each
    active = min(active, experts)
    choices = list(combinations(range(experts), active))
    shared = [own for own in choices if len({expert // each for expert in own}) == 1]
    told = shares_a_card(_family(make_cell(), cards, experts=experts, active=active))
    assert told == (None if cards == 1 else pytest.approx(len(shared) / len(choices)))


def _family(cell: Cell, cards: int, experts: int = 8, active: int = 2) -> Family:
    model = cell.family.model.model_copy(update={"experts": experts, "active_experts": active})
    split = {"tensor_parallel": 2, "expert_parallel": cards, "model": model}
    return cell.family.model_copy(update={"gpu": Gpu.H200, **split})


def _trial(cards: int, gaps: list[float], make_trial: Make) -> Trial:
    plain: Trial = make_trial()  # type: ignore[assignment]
    closed = {"arrival": Arrival.CLOSED_LOOP, "concurrency": 1, "rate": None}
    workload = plain.cell.workload.model_copy(update=closed)
    cell = Cell(family=_family(plain.cell, cards), workload=workload)
    return plain.model_copy(
        update={"cell": cell, "requests": _sent(gaps), "measurements": {"itl_p50": gaps[0]}}
    )


def test_the_document_tells_what_sharing_a_card_costs(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make
) -> None:
    record_night(session, make_night())  # type: ignore[arg-type]
    for cards, gaps in ((1, [0.005] * 8), (2, [FAST] * 4 + [SLOW] * 4)):
        record(session, make_launch(trials=(_trial(cards, gaps, make_trial),)))  # type: ignore[arg-type]
    text = document(find(session, read_policy(), 30, lambda _: None), {}, "command")
    section = text.partition("### Experts that share a card")[2].partition("\n## ")[0]
    assert "Dummy weights are the same in every layer" in section
    rows = [line for line in section.splitlines() if "batch 1 |" in line]
    assert len(rows) == 2
    plain, split = ([field.strip() for field in row.split("|")[3:-1]] for row in rows)
    assert plain[:4] == ["5.000 ms", "5.000 ms", "5.000 ms", times(1.0)]
    assert plain[5] == NONE
    assert split == ["7.000 ms", "6.000 ms", "8.000 ms", times(4 / 3), "50.0 %", "42.9 %", "0.0 %"]
