"""Orders: names travel, meanings stay."""

import json
from pathlib import Path

import pytest

from dags.orders import StaleMatrix, order, planned_launch
from dags.planning import plan_release
from schema import data_files
from schema.documents import BadDocument
from schema.matrix import load_matrix
from schema.nights import PlannedLaunch
from schema.trials import Arm, BuildSpec
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
    sent = json.dumps(order(planned, DEMO))
    assert planned_launch(json.loads(sent)) == planned


def test_a_host_with_another_matrix_refuses_and_says_what_to_do() -> None:
    sent = order(_planned()[0], DEMO) | {"matrix_digest": "planned"}
    with pytest.raises(StaleMatrix, match=f"demo here is {DEMO.digest}, planned was planned"):
        planned_launch(sent)


def test_a_host_means_the_files_that_were_planned_with_whatever_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial that needs a file says what is wrong with it; the order stays what it was."""
    matrix = load_matrix("workloads")
    planned = PlannedLaunch(
        night="2026-11-22",
        arm=Arm.NIGHTLY,
        build=BuildSpec.parse("vllm==0.32.0"),
        cells=matrix.cells,
        replicate=0,
    )
    sent = order(planned, matrix)
    monkeypatch.setattr(data_files, "WORKLOADS", tmp_path)
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "lengths.csv").write_text("input_tokens,output_tokens\n1,2\n")
    assert planned_launch(sent) == planned
    with pytest.raises(BadDocument, match=r"no file example/azure_shape\.csv"):
        load_matrix("workloads")


def test_an_order_with_a_further_key_is_refused() -> None:
    sent = order(_planned()[0], DEMO) | {"shell": "rm"}
    with pytest.raises(ValueError, match="shell"):
        planned_launch(sent)


def test_an_order_is_small_enough_to_travel_by_the_thousand() -> None:
    sent = order(_planned()[0], DEMO)
    assert len(json.dumps(sent)) < 1000
    assert not any(isinstance(value, Word) for value in sent.values())
