"""Airflow over its REST API: exactly what the command line asks of it."""

import time
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import Field

from schema.words import Word
from tailwatch.errors import AirflowRefused, AirflowUnreachable

PAGE = 100
UNFINISHED = ("queued", "running")
FAILED = ("failed", "upstream_failed")


class DagRun(Word):
    """One execution of a DAG."""

    run_id: str
    state: str
    """queued, running, success or failed."""
    conf: dict[str, Any] = Field(default={})
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED


class TaskInstance(Word):
    """One task of a DAG run; a mapped task has one for each of its inputs."""

    task: str
    map_index: int
    """-1 while (or when) the task is not mapped."""
    state: str | None
    """None before it was looked at."""
    label: str | None = None
    """How the DAG names this input."""
    started_at: datetime | None = None
    duration_s: float | None = None


class AirflowClient:
    """A session with one Airflow; a context manager."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        # Without trust_env a proxy of the machine cannot come between us and the loopback.
        self._http = httpx.Client(base_url=url, timeout=30.0, trust_env=False, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def is_healthy(self) -> bool:
        """Whether database, scheduler and DAG processor all report themselves well."""
        try:
            parts = self._http.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        needed = ("metadatabase", "scheduler", "dag_processor")
        return all((parts.get(name) or {}).get("status") == "healthy" for name in needed)

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        body = {"name": name, "slots": slots, "description": description}
        self._call("POST", "/pools", f"make the pool {name}", json=body, allowed=(409,))

    def wait_for_dag(self, dag_id: str, *, within_s: float) -> None:
        """Return when the DAG is known; raises AirflowRefused with its import errors."""
        deadline = time.monotonic() + within_s
        while self._call("GET", f"/dags/{dag_id}", f"find {dag_id}", allowed=(404,)) is None:
            if time.monotonic() > deadline:
                raise AirflowRefused(f"Airflow has no DAG {dag_id}: {self._import_errors()}")
            time.sleep(1.0)

    def is_paused(self, dag_id: str) -> bool:
        return bool(self._call("GET", f"/dags/{dag_id}", f"find {dag_id}")["is_paused"])

    def unpause(self, dag_id: str) -> None:
        self._call("PATCH", f"/dags/{dag_id}", f"unpause {dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, run_id: str | None, conf: dict[str, Any]) -> DagRun:
        """Begin a run; without `run_id` Airflow names it."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf}
        if run_id is not None:
            body["dag_run_id"] = run_id
        return _run(self._call("POST", f"/dags/{dag_id}/dagRuns", f"trigger {dag_id}", json=body))

    def run(self, dag_id: str, run_id: str) -> DagRun | None:
        """The run, or None when there is none of that name."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}"
        found = self._call("GET", path, f"find the run {run_id}", allowed=(404,))
        return _run(found) if found else None

    def runs(self, dag_id: str) -> list[DagRun]:
        """The latest runs, newest first; none when the DAG is not known."""
        path = f"/dags/{dag_id}/dagRuns?order_by=-run_after&limit={PAGE}"
        found = self._call("GET", path, f"list the runs of {dag_id}", allowed=(404,))
        return [_run(one) for one in found["dag_runs"]] if found else []

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[TaskInstance] = []
        while True:
            page = self._call(
                "GET", f"{path}?limit={PAGE}&offset={len(found)}", f"list the tasks of {run_id}"
            )
            found += [_task_instance(one) for one in page["task_instances"]]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def clear_failed(self, dag_id: str, run_id: str) -> int:
        """Let the failed tasks of a run run again; returns how many.

        What depends on them runs again too: a trial that is repeated must be recorded and judged.
        """
        failed = [one for one in self.task_instances(dag_id, run_id) if one.state in FAILED]
        if failed:
            body = {
                "dry_run": False,
                "dag_run_id": run_id,
                "only_failed": False,
                "include_downstream": True,
                "task_ids": [
                    one.task if one.map_index < 0 else [one.task, one.map_index] for one in failed
                ],
            }
            path = f"/dags/{dag_id}/clearTaskInstances"
            self._call("POST", path, f"repeat the failed tasks of {run_id}", json=body)
        return len(failed)

    def _import_errors(self) -> str:
        found = self._call("GET", "/importErrors", "list import errors")["import_errors"]
        last = [
            f"{one['filename']}: {one['stack_trace'].strip().splitlines()[-1]}" for one in found
        ]
        return "; ".join(last) or "its file was not read yet, see `tailwatch status`"

    def _call(
        self, method: str, path: str, aim: str, *, json: Any = None, allowed: tuple[int, ...] = ()
    ) -> Any:
        """The decoded answer, None for an allowed error; raises one sentence otherwise."""
        try:
            answer = self._send(method, path, json)
        except httpx.HTTPError as error:
            raise AirflowUnreachable(
                f"Airflow at {self.url} did not answer ({error}): see `tailwatch status`"
            ) from error
        if answer.status_code in allowed:
            return None
        if answer.is_error:
            raise AirflowRefused(
                f"Airflow would not {aim}: HTTP {answer.status_code}, {_detail(answer)}"
            )
        return answer.json() if answer.content else {}

    def _send(self, method: str, path: str, json: Any) -> httpx.Response:
        """One request; a token that is absent or too old is fetched first."""
        if "Authorization" in self._http.headers:
            answer = self._http.request(method, f"/api/v2{path}", json=json)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return answer
        token = self._http.get("/auth/token")
        if token.is_error:
            return token
        self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        return self._http.request(method, f"/api/v2{path}", json=json)


def _run(one: dict[str, Any]) -> DagRun:
    return DagRun(
        run_id=one["dag_run_id"],
        state=one["state"],
        conf=one.get("conf") or {},
        started_at=one.get("start_date"),
        ended_at=one.get("end_date"),
    )


def _task_instance(one: dict[str, Any]) -> TaskInstance:
    return TaskInstance(
        task=one["task_id"],
        map_index=one["map_index"],
        state=one["state"],
        label=one.get("rendered_map_index"),
        started_at=one.get("start_date"),
        duration_s=one.get("duration"),
    )


def _detail(answer: httpx.Response) -> str:
    """What Airflow says, in one line."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    if isinstance(detail, dict):
        detail = detail.get("reason") or detail.get("message") or detail
    return " ".join(str(detail).split())[:500]
