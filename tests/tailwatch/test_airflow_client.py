"""The Airflow client: what it sends, and errors in one sentence."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tailwatch.airflow_client import AirflowClient
from tailwatch.errors import AirflowRefused, AirflowUnreachable

Answer = Callable[[httpx.Request], httpx.Response]


def _client(answer: Answer) -> AirflowClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "T"})
        return answer(request)

    return AirflowClient("http://airflow", transport=httpx.MockTransport(handle))


def _run(state: str = "queued") -> dict[str, Any]:
    return {"dag_run_id": "N", "state": state, "conf": {"a": 1}, "start_date": None}


def test_a_run_is_triggered_with_its_name_and_without_a_logical_date() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=_run())

    with _client(answer) as client:
        run = client.trigger("release", "N", {"a": 1})
    assert run.conf == {"a": 1}
    assert not run.is_finished
    assert sent[0].headers["Authorization"] == "Bearer T"
    body = json.loads(sent[0].content)
    assert body == {"logical_date": None, "conf": {"a": 1}, "dag_run_id": "N"}


def test_an_old_token_is_replaced() -> None:
    answers = iter([httpx.Response(200, json=_run()), httpx.Response(401), None])

    def answer(_: httpx.Request) -> httpx.Response:
        return next(answers) or httpx.Response(200, json=_run("success"))

    with _client(answer) as client:
        client.run("release", "N")
        again = client.run("release", "N")
    assert again is not None
    assert again.state == "success"


def test_a_refusal_says_what_was_asked_and_why_not() -> None:
    detail = {"detail": "Invalid input for param launches: 0 is less than 1"}
    with (
        _client(lambda _: httpx.Response(400, json=detail)) as client,
        pytest.raises(AirflowRefused, match=r"would not trigger release: HTTP 400, Invalid .*less"),
    ):
        client.trigger("release", "N", {})


def test_a_run_that_is_not_there_is_none() -> None:
    with _client(lambda _: httpx.Response(404, json={"detail": "no"})) as client:
        assert client.run("release", "N") is None
        assert client.runs("release") == []


def test_all_pages_of_tasks_are_read() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        page = [
            {"task_id": "trial", "map_index": index, "state": None}
            for index in range(offset, min(offset + 100, 250))
        ]
        return httpx.Response(200, json={"task_instances": page, "total_entries": 250})

    with _client(answer) as client:
        assert len(client.task_instances("release", "N")) == 250


def test_a_dag_that_cannot_be_imported_is_told_with_its_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("importErrors"):
            error = {"filename": "release.py", "stack_trace": "Traceback\nNameError: x"}
            return httpx.Response(200, json={"import_errors": [error]})
        return httpx.Response(404, json={"detail": "no"})

    with (
        _client(answer) as client,
        pytest.raises(AirflowRefused, match=r"no DAG release: release.py: NameError: x"),
    ):
        client.wait_for_dag("release", within_s=0)


def test_silence_is_told_with_the_next_step() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with (
        _client(answer) as client,
        pytest.raises(AirflowUnreachable, match=r"refused\): see `tailwatch status`"),
    ):
        client.runs("release")
    assert not _client(answer).is_healthy()


@pytest.mark.parametrize(
    ("scheduler", "healthy"), [("healthy", True), ("unhealthy", False), (None, False)]
)
def test_healthy_means_every_part_we_start(scheduler: str | None, healthy: bool) -> None:
    parts = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": scheduler},
        "dag_processor": {"status": "healthy"},
        "triggerer": {"status": None},
    }
    with _client(lambda _: httpx.Response(200, json=parts)) as client:
        assert client.is_healthy() is healthy
