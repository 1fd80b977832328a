"""Releases: what is refused before Airflow is asked, and what is taken up again."""

import re
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from schema.matrix import MatrixError
from tailwatch import release
from tailwatch.airflow_client import AirflowClient, DagRun
from tailwatch.errors import UsageError
from tailwatch.release import ReleaseRequest


class Airflow:
    """Keeps runs as Airflow would."""

    def __init__(self, *runs: DagRun) -> None:
        self.kept = {run.run_id: run for run in runs}
        self.calls: list[str] = []

    def wait_for_dag(self, _: str, **__: float) -> None:
        self.calls.append("wait")

    def unpause(self, _: str) -> None:
        self.calls.append("unpause")

    def run(self, _: str, run_id: str) -> DagRun | None:
        return self.kept.get(run_id)

    def runs(self, _: str) -> list[DagRun]:
        return list(self.kept.values())

    def trigger(self, _: str, run_id: str, conf: dict[str, Any]) -> DagRun:
        self.calls.append("trigger")
        return DagRun(run_id=run_id, state="queued", conf=conf)

    def clear_failed(self, *_: str) -> int:
        self.calls.append("clear")
        return 1


def _ask(contender: str = "vllm==0.32.0", baseline: str = "0.31.0", **more: Any) -> ReleaseRequest:
    return release.ask(contender, baseline, **{"matrix": "demo", "launches": 5, **more})


def _client(airflow: Airflow) -> AirflowClient:
    return cast("AirflowClient", airflow)


def test_the_night_is_named_by_date_and_builds() -> None:
    today = datetime.now(UTC).date()
    assert _ask().night == f"{today}-release-vllm-0.32.0-vs-0.31.0"


def test_the_dag_is_given_what_was_asked() -> None:
    request = _ask("vllm==0.32.0+eager", night="2026-11-22-try")
    assert request.conf == {
        "engine": "vllm",
        "version": "0.32.0+eager",
        "baseline": "0.31.0",
        "matrix": "demo",
        "launches": 5,
        "night": "2026-11-22-try",
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"contender": "0.32.0"}, "not ENGINE==VERSION"),
        ({"contender": "vlm==0.32.0"}, "vllm or sglang"),
        ({"contender": "vllm==new"}, "'new' is not a PEP 440 version"),
        ({"baseline": "old"}, "'old' is not a PEP 440 version"),
        ({"baseline": "sglang==0.5.0"}, "cells belong to one engine"),
        ({"launches": 0}, "at least 1 a side"),
        ({"night": "tonight"}, "'tonight' does not name a night"),
        ({"night": "2026-13-01"}, "does not name a night"),
        ({"contender": "sglang==0.5.0", "baseline": "0.4.0"}, "no cell of sglang"),
    ],
)
def test_a_mistake_is_refused_before_anything_runs(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        _ask(**wrong)


@pytest.mark.parametrize("wrong", [{"matrix": "demmo"}, {"cells": ("vllm/nothing",)}])
def test_a_matrix_says_itself_what_it_does_not_hold(wrong: dict[str, Any]) -> None:
    with pytest.raises(MatrixError):
        _ask(**wrong)


def test_a_new_night_is_triggered_on_an_unpaused_dag() -> None:
    airflow = Airflow()
    run = release.begin(_client(airflow), _ask())
    assert (run.run_id, airflow.calls) == (_ask().night, ["wait", "unpause", "trigger"])


def test_an_unfinished_night_is_taken_up_and_its_failed_tasks_repeated() -> None:
    request = _ask()
    airflow = Airflow(DagRun(run_id=request.night, state="running", conf=request.conf))
    release.begin(_client(airflow), request)
    assert airflow.calls == ["wait", "unpause", "clear"]


def test_a_finished_night_is_left_as_it_is() -> None:
    request = _ask()
    airflow = Airflow(DagRun(run_id=request.night, state="success", conf=request.conf))
    assert release.begin(_client(airflow), request).state == "success"
    assert airflow.calls == ["wait", "unpause"]


def test_a_night_that_was_begun_otherwise_is_not_reused() -> None:
    request = _ask()
    other = {**request.conf, "launches": 3}
    airflow = Airflow(DagRun(run_id=request.night, state="running", conf=other))
    with pytest.raises(UsageError, match=r"name another with --night, such as .*-b"):
        release.begin(_client(airflow), request)


def test_an_unfinished_run_of_an_earlier_date_is_found() -> None:
    request = _ask()
    night = "2026-01-01-release-vllm-0.32.0-vs-0.31.0"
    conf = {**request.conf, "night": night}
    finished = DagRun(run_id="done", state="success", conf=conf)
    open_run = DagRun(run_id=night, state="running", conf=conf)
    assert release.unfinished(_client(Airflow(finished, open_run)), request) == open_run
    assert release.unfinished(_client(Airflow(finished)), request) is None
