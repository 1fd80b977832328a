"""Which experts are chosen: in words, as a picture, on the page MoE, and in no timed table."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.charts.experts import LEAST_REACH, heat_map, reach
from dashboard.experts import Chosen, chosen, sentence, trials_of
from dashboard.levels import levels_of
from schema.cells import RETURNS_EXPERTS, Cell
from schema.models import Weights
from schema.selections import Selections
from schema.session import reading, writing
from schema.store.cells import cells
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.selections import selections
from schema.store.values import values_of_latest
from schema.trials import Launch, TrialState

Make = Callable[..., Any]
Open = Callable[..., AppTest]

EVEN = Selections(requests=2, tokens=16, counts=((4,) * 8, (4,) * 8))
UNEVEN = Selections(requests=2, tokens=16, counts=((4,) * 8, (16, 16, 0, 0, 0, 0, 0, 0)))


@pytest.fixture
def untimed(make_cell: Make) -> Cell:
    cell: Cell = make_cell()
    family = cell.family.model_copy(update={"settings": ((RETURNS_EXPERTS, None),)})
    return cell.model_copy(update={"family": family})


@pytest.fixture
def recorded(
    database_url: str, untimed: Cell, make_night: Make, make_launch: Make, make_trial: Make
) -> str:
    """Two launches that returned experts, evenly and then not, and one that was timed."""
    with writing(database_url) as session:
        record_night(session, make_night())
        record(session, make_launch())
        for replicate, own in enumerate((EVEN, UNEVEN)):
            trial = make_trial(
                untimed, selections=own, measurements={"expert_balance": own.balance},
                not_estimable={}, requests=(), duration_s=None,
            )  # fmt: skip
            launch: Launch = make_launch(trials=(trial,), replicate=replicate)
            record(session, launch)
    return database_url


def found(url: str) -> list[Chosen]:
    with reading(url) as session:
        known = {own.key: own for own in cells(session)}
        values = values_of_latest(session, list(known), 30)
        return chosen(values, known, selections(session, trials_of(values)))


def seen(page: AppTest) -> str:
    assert not page.exception, page.exception
    parts = [own.value for own in (*page.markdown, *page.caption, *page.info, *page.subheader)]
    return re.sub(r"<[^>]+>", " ", " ".join(parts))


def test_the_latest_selections_stand_for_a_build_and_cell(recorded: str) -> None:
    (own,) = found(recorded)
    assert own.selections == UNEVEN
    assert own.balances == [1.0, 0.625]
    assert own.name == "h100: tiny-mixtral bf16, dummy weights, vllm 0.32.0"
    assert (own.least_even, own.extremes) == (1, (0.0, 4.0))


def test_the_sentence_says_whose_choice_it_was(recorded: str, untimed: Cell) -> None:
    (own,) = found(recorded)
    assert sentence(own).startswith(
        "Balance 0.6250 over 2 layers, least in layer 1 (0.2500); shares from 0 to 4.000. "
        "2 requests, 16 routed tokens"
    )
    assert "not the model's own routers" in sentence(own)
    model = untimed.family.model.model_copy(update={"weights": Weights.REAL})
    family = untimed.family.model_copy(update={"model": model})
    real = Chosen(
        cell=untimed.model_copy(update={"family": family}), build="vllm 0.25.1+normal",
        night="2026-11-22", trial="t", selections=EVEN, balances=[1.0],
    )  # fmt: skip
    assert "dummy" not in sentence(real)
    assert "over 2 layers, every layer chose the same; shares from 1.000 to 1.000" in sentence(real)
    assert "The build is altered (+normal)" in sentence(real)


def test_white_is_even_and_the_colours_reach_as_far_both_ways() -> None:
    assert (reach(EVEN), reach(UNEVEN)) == (LEAST_REACH, 3.0)
    (map_,) = heat_map(UNEVEN).data
    assert (map_.zmin + map_.zmax) / 2 == 1
    assert [list(row) for row in map_.z] == [list(row) for row in UNEVEN.shares]
    assert map_.zmin <= 0
    assert map_.zmax >= 4


def test_what_was_not_timed_is_no_level(recorded: str, untimed: Cell) -> None:
    with reading(recorded) as session:
        known = {own.key: own for own in cells(session)}
        values = values_of_latest(session, list(known), 30)
    assert untimed.key in {value.cell for value in values}
    assert {own.cell.key for own in levels_of(values, known)} == set(known) - {untimed.key}


def test_the_page_shows_the_choice_even_without_a_pair(recorded: str, open_page: Open) -> None:
    page = open_page(recorded, "moe", place="h100-vllm")
    text = seen(page)
    assert "No sparse model was measured beside a dense one" in text
    assert "Which experts are chosen" in text
    assert "Balance 0.6250 over 2 layers" in text
    assert "nothing was timed" in text
    assert len(page.get("plotly_chart")) == 1


def test_the_page_of_such_a_trial_has_no_latencies(recorded: str, open_page: Open) -> None:
    (own,) = found(recorded)
    text = seen(open_page(recorded, "trial", trial=own.trial))
    assert "No request was sent" in text


def test_the_page_tells_who_would_not_return_them(
    database_url: str, untimed: Cell, open_page: Open, make_night: Make, make_launch: Make,
    make_trial: Make,
) -> None:  # fmt: skip
    said = "vllm==0.32.0 with --enable-return-routed-experts did not start: <no> *experts*"
    reasons = [f"ExpertsNotReturned: {said}"] * 2 + ["EngineDied: exit code 1"]
    with writing(database_url) as session:
        record_night(session, make_night())
        for replicate, reason in enumerate(reasons):
            trial = make_trial(untimed, state=TrialState.FAILED, reason=reason)
            record(session, make_launch(trials=(trial,), replicate=replicate))
    page = open_page(database_url, "moe", place="h100-vllm")
    assert "Which experts are chosen" in seen(page)
    told = [own.proto.body for own in page.get("html") if "refused" in own.proto.body]
    assert len(told) == 1
    assert "did not start: &lt;no&gt; *experts*" in told[0]
    assert not page.get("plotly_chart")


def test_nothing_is_shown_where_nobody_was_asked(hopper_url: str, open_page: Open) -> None:
    page = seen(open_page(hopper_url, "moe", place="h100-vllm"))
    assert "Sparse beside dense" in page
    assert "Which experts are chosen" not in page
