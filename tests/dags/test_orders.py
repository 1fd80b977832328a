"""Orders: names travel, meanings stay."""

import json

import pytest

from dags.orders import StaleMatrix, order, planned_launch
from dags.planning import plan_release
from schema.matrix import load_matrix
from schema.nights import PlannedLaunch
from schema.trials import BuildSpec
from schema.words import Word

DEMO = load_matrix("demo")


def _planned() -> list[PlannedLaunch]:
    _, planned = plan_release(
        DEMO,
        DEMO.cells,
        name="2026-11-22-release",
        contender=BuildSpec.parse("vllm==0.32.0+onecore"),
        baseline=BuildSpec.parse("vllm==0.31.0"),
        launches=2,
    )
    return planned


@pytest.mark.parametrize("planned", _planned(), ids=lambda planned: planned.label)
def test_an_order_means_on_the_host_what_was_planned(planned: PlannedLaunch) -> None:
    sent = json.dumps(order(planned, matrix="demo", matrix_digest=DEMO.digest))
    assert planned_launch(json.loads(sent)) == planned


def test_a_host_with_another_matrix_refuses_and_says_what_to_do() -> None:
    sent = order(_planned()[0], matrix="demo", matrix_digest="planned")
    with pytest.raises(StaleMatrix, match=f"demo here is {DEMO.digest}, planned was planned"):
        planned_launch(sent)


def test_an_order_with_a_further_key_is_refused() -> None:
    sent = order(_planned()[0], matrix="demo", matrix_digest=DEMO.digest) | {"shell": "rm"}
    with pytest.raises(ValueError, match="shell"):
        planned_launch(sent)


def test_an_order_is_small_enough_to_travel_by_the_thousand() -> None:
    sent = order(_planned()[0], matrix="demo", matrix_digest=DEMO.digest)
    assert len(json.dumps(sent)) < 1000
    assert not any(isinstance(value, Word) for value in sent.values())
