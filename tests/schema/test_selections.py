"""Selections: what is one, how even they are, and that they come back as they were kept."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError
from sqlalchemy.orm import Session

from schema.selections import Selections
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.selections import selections
from schema.trials import Launch

Make = Callable[..., Any]


def of(*counts: tuple[int, ...]) -> Selections:
    return Selections(requests=1, tokens=max(1, sum(counts[0]) // 2), counts=counts)


LAYERS = some.integers(1, 8).flatmap(
    lambda experts: some.lists(
        some.permutations(range(1, experts + 1)).map(tuple), min_size=1, max_size=5
    )
)


def test_an_even_choice_is_1_and_one_expert_alone_is_its_part() -> None:
    assert of((5, 5, 5, 5)).balance == 1
    assert of((20, 0, 0, 0)).balance == 0.25
    assert of((20, 0, 0, 0), (5, 5, 5, 5)).balance == 0.625
    assert of((4, 2), (3, 3)).shares == ((4 / 3, 2 / 3), (1.0, 1.0))


@given(LAYERS)
def test_balance_lies_between_one_expert_and_all(layers: list[tuple[int, ...]]) -> None:
    found = of(*layers)
    assert 1 / found.experts <= found.balance <= 1 + 1e-12
    assert all(sum(layer) == pytest.approx(found.experts) for layer in found.shares)


@given(LAYERS, some.integers(1, 1000))
def test_balance_knows_no_order_and_no_scale(layers: list[tuple[int, ...]], factor: int) -> None:
    turned = [tuple(count * factor for count in reversed(layer)) for layer in reversed(layers)]
    assert of(*turned).balance == pytest.approx(of(*layers).balance)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (((1, 2), (3,)), "number of experts"),
        (((1, 2), (3, 1)), "number of selections"),
        (((0, 0),), "or have none"),
        (((3, -1),), "below 0"),
        (((),), "number of experts"),
    ],
)
def test_what_cannot_have_been_counted_is_refused(counts: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Selections(requests=1, tokens=1, counts=counts)


def test_selections_come_back_as_they_were_recorded(
    session: Session, make_night: Make, make_launch: Make, make_trial: Make, make_cell: Make
) -> None:
    seen = Selections(requests=3, tokens=2**33, counts=((2**33, 2**33), (2**34, 0)))
    with_them = make_trial(make_cell("steady"), selections=seen)
    launch = make_launch(trials=(with_them, make_trial(make_cell("burst"))))
    assert Launch.model_validate_json(launch.model_dump_json()) == launch
    record_night(session, make_night())
    record(session, launch)
    keys = [launch.trial_key(trial) for trial in launch.trials]
    assert selections(session, keys) == {keys[0]: seen}
    assert record(session, launch) == 0
