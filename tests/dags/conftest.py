"""Airflow without a scheduler, and a host whose database and spool belong to one test."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from dags.orders import planned_launch
from schema.trials import Build, Launch, Trial

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG

DAGS = Path(__file__).parents[2] / "dags"
TODAY = "2026-11-22"
SMALL = "vllm/tiny-llama/bf16/cpu/tp1/enforce-eager"

Params: TypeAlias = Callable[..., dict[str, Any]]
Document: TypeAlias = Callable[..., Launch]


@pytest.fixture(scope="session")
def dag_bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator["DagBag"]:
    """The repository's DAGs, parsed by an Airflow whose home is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        patch.delenv("TAILWATCH_REMOTE_HOSTS", raising=False)
        with warnings.catch_warnings(action="ignore"):  # Airflow deprecates parts of itself
            from airflow.dag_processing.dagbag import DagBag

            bag = DagBag(dag_folder=DAGS)
        yield bag


@pytest.fixture(scope="session")
def release_dag(dag_bag: "DagBag") -> "DAG":
    return dag_bag.dags["release"]


@pytest.fixture(scope="session")
def nightly_dag(dag_bag: "DagBag") -> "DAG":
    return dag_bag.dags["nightly"]


@pytest.fixture
def host(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TAILWATCH_HOME of a host with a database; returns its spool."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("SLACK_")]:
        monkeypatch.delenv(name)
    return tmp_path / "spool"


@pytest.fixture
def asked() -> Params:
    """What the release DAG is given: one small cell, one launch a side."""

    def make(**overrides: Any) -> dict[str, Any]:
        usual: dict[str, Any] = {
            "engine": "vllm",
            "version": "0.32.0",
            "baseline": "0.31.0",
            "matrix": "demo",
            "cells": [f"{SMALL}/closed-4"],
            "launches": 1,
            "night": None,
        }
        return usual | overrides

    return make


@pytest.fixture
def document(make_launch: Callable[..., Launch], make_trial: Callable[..., Trial]) -> Document:
    """What a host would write after an order; `trial` changes its trials."""

    def make(order: dict[str, Any], *, attempt: int = 1, **trial: Any) -> Launch:
        plan = planned_launch(order)
        artefact = make_launch().build.artefact
        return make_launch(
            night=plan.night,
            arm=plan.arm,
            replicate=plan.replicate,
            attempt=attempt,
            build=Build(
                engine=plan.build.engine,
                version=plan.build.version,
                artefact=artefact,
                digest="sha256:1",
            ),
            trials=tuple(make_trial(cell, **trial) for cell in plan.cells),
        )

    return make
