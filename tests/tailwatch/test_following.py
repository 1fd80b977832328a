"""Following a run: what is shown, when it ends, how long silence is borne."""

import io
from typing import Any, cast

import pytest

from tailwatch import follow as following
from tailwatch.airflow_client import AirflowClient, DagRun, TaskInstance
from tailwatch.errors import AirflowUnreachable, ServiceDied
from tailwatch.follow import display, follow
from tailwatch.progress import Progress


class Airflow:
    """Tells one state after the other; an error in the list is raised."""

    def __init__(self, *states: str | Exception) -> None:
        self.states = list(states)

    def runs(self, _: str) -> list[DagRun]:
        return []

    def run(self, _: str, run_id: str) -> DagRun:
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        return DagRun(run_id=run_id, state=state)

    def task_instances(self, *_: str) -> list[TaskInstance]:
        return [TaskInstance(task="plan", map_index=-1, state="running")]


def _follow(airflow: Airflow, require_alive: Any = lambda: None) -> tuple[DagRun, list[Progress]]:
    seen: list[Progress] = []
    client = cast("AirflowClient", airflow)
    return follow(client, "release", "N", seen.append, require_alive, poll_s=0), seen


def test_it_ends_with_the_run() -> None:
    run, seen = _follow(Airflow("queued", "running", "failed"))
    assert run.state == "failed"
    assert [one.step for one in seen] == ["planning"] * 3


def test_a_short_silence_of_airflow_is_borne() -> None:
    run, _ = _follow(Airflow("running", AirflowUnreachable("silent"), "success"))
    assert run.state == "success"


def test_a_long_silence_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "UNREACHABLE_FOR_S", -1.0)
    with pytest.raises(AirflowUnreachable):
        _follow(Airflow(AirflowUnreachable("silent")))


def test_a_service_that_ended_is_told_at_once() -> None:
    def dead() -> None:
        raise ServiceDied("airflow-scheduler ended by itself")

    with pytest.raises(ServiceDied):
        _follow(Airflow("running"), dead)


def test_without_a_terminal_a_line_is_printed_at_every_change_only() -> None:
    stream = io.StringIO()
    with display(stream) as show:
        for done, remaining in ((0, 60.0), (0, 58.0), (1, 30.0)):
            show(
                Progress(
                    step="measuring",
                    launches_done=done,
                    launches_total=2,
                    remaining_s=remaining,
                )
            )
    assert stream.getvalue().splitlines() == [
        "measuring: 0 of 2 launches, about 1 min left",
        "measuring: 1 of 2 launches, about 1 min left",
    ]


def test_on_a_terminal_nothing_of_the_bar_stays() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with display(stream) as show:
        show(Progress(step="judging", launches_done=2, launches_total=2))
    assert stream.getvalue().count("\n") <= 1
