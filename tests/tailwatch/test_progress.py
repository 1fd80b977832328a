"""Progress: what is counted, and when an estimate is honest."""

from datetime import UTC, datetime, timedelta

import pytest

from tailwatch.airflow_client import TaskInstance
from tailwatch.progress import measure, spell

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _launch(index: int, state: str | None, **more: object) -> TaskInstance:
    return TaskInstance.model_validate(
        {"task": "cpu.trial", "map_index": index, "state": state, **more}
    )


def _ended(*tasks: str) -> list[TaskInstance]:
    return [TaskInstance(task=task, map_index=-1, state="success") for task in tasks]


def test_before_the_plan_is_made_nothing_is_counted() -> None:
    seen = measure([TaskInstance(task="trial", map_index=-1, state=None)], NOW)
    assert (seen.step, seen.launches_total, seen.line) == ("planning", None, "planning, estimating")


def test_before_the_first_launch_has_ended_it_says_estimating() -> None:
    running = _launch(0, "running", started_at=NOW - timedelta(seconds=30), label="a cell #0")
    seen = measure([*_ended("plan", "provision"), running, _launch(1, None)], NOW)
    assert seen.line == "measuring: 0 of 2 launches, estimating, running a cell #0"


def test_the_run_before_serves_until_this_one_has_a_duration() -> None:
    earlier = [_launch(0, "success", duration_s=100.0), _launch(1, "success", duration_s=200.0)]
    launches = [_launch(0, None), _launch(1, None)]
    assert measure(launches, NOW, earlier).remaining_s == 300.0


def test_the_remaining_time_counts_what_the_running_launch_has_spent() -> None:
    launches = [
        _launch(0, "success", duration_s=100.0),
        _launch(1, "running", started_at=NOW - timedelta(seconds=40)),
        _launch(2, None),
    ]
    assert measure(launches, NOW).remaining_s == 60.0 + 100.0


def test_a_launch_that_takes_longer_than_usual_never_counts_as_negative() -> None:
    launches = [
        _launch(0, "success", duration_s=10.0),
        _launch(1, "running", started_at=NOW - timedelta(seconds=500)),
        _launch(2, None),
    ]
    assert measure(launches, NOW).remaining_s == 10.0


def test_kinds_of_device_work_side_by_side() -> None:
    done = _launch(0, "success", duration_s=100.0)
    other = [_launch(index, None, task="h100.trial") for index in range(3)]
    assert measure([done, _launch(1, None), *other], NOW).remaining_s == 300.0


def test_a_kind_without_launches_does_not_hold_the_flow_up() -> None:
    idle = TaskInstance(task="h200.trial", map_index=-1, state="skipped")
    seen = measure([*_ended("plan", "provision"), _launch(0, "success"), idle], NOW)
    assert (seen.step, seen.launches_total) == ("recording", 1)


def test_a_failed_launch_is_counted_and_does_not_spoil_the_estimate() -> None:
    launches = [
        _launch(0, "failed", duration_s=1.0),
        _launch(1, "success", duration_s=100.0),
        _launch(2, None),
    ]
    seen = measure([*_ended("plan", "provision"), *launches], NOW)
    assert seen.remaining_s == 100.0
    assert seen.line.startswith("measuring: 2 of 3 launches (1 failed), about 2 min left")


def test_after_the_last_launch_no_time_is_promised() -> None:
    tasks = [*_ended("plan", "provision", "record"), _launch(0, "success", duration_s=9.0)]
    assert measure(tasks, NOW).line == "judging: 1 of 1 launches"


def test_without_any_launch_nothing_is_estimated_at_the_end() -> None:
    tasks = _ended("plan", "provision", "trial", "record", "judge", "announce", "gate")
    assert measure(tasks, NOW).line == "finished"


def test_a_launch_without_a_label_yet_is_told_by_its_place() -> None:
    assert measure([_launch(2, "running", label="2")], NOW).running == ("launch 3",)


def test_a_retried_launch_is_not_done() -> None:
    assert measure([_launch(0, "up_for_retry", duration_s=5.0)], NOW).launches_done == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 min"), (61, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_are_rounded_up(seconds: float, text: str) -> None:
    assert spell(seconds) == text
