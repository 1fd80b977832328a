"""The one shape of every pass: plan, provide, measure and record, judge, confirm, announce, gate.

Heavy imports are inside the tasks: the file is parsed every few seconds.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from airflow.sdk import TaskGroup, TriggerRule, get_current_context, task, task_group
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from schema.cells import Gpu

ATTEMPTS = 3
"""Of one launch: a failure that the same cause would repeat is not tried again."""


def flow(plan: Callable[[dict[str, Any], str], dict[str, Any]], *, confirms: bool = False) -> None:
    """Wire one pass; `plan` records the night and returns its orders by kind of device.

    A pass that confirms measures again what its judgement suspects, and judges again.
    """

    @task(task_id="plan", multiple_outputs=True)
    def planned() -> dict[str, Any]:
        context = get_current_context()
        return plan(dict(context["params"]), context["dag_run"].run_after.date().isoformat())

    orders: Any = planned()
    judged = judge(orders["night"])
    measure_everywhere(orders, judged)
    if confirms:
        judged = confirm(orders["night"], judged)
    judged >> announce(orders["night"]) >> gate(orders["night"])


def confirm(night: Any, judged: Any) -> Any:
    """Plan, measure and judge again; all of it is skipped when nothing is suspected."""
    with TaskGroup("confirm"):
        orders: Any = plan_confirmations(night)
        again = judge_again(night)
        judged >> orders >> again
        measure_everywhere(orders, again)
    return again


def measure_everywhere(orders: Any, judged: Any) -> None:
    """Kinds of devices side by side, then the judgement."""
    for gpu in Gpu:
        with TaskGroup(gpu.value):
            measure(gpu.value, orders) >> judged


def measure(gpu: str, orders: Any) -> Any:
    """All launches on one kind of device: one at a time per device, recorded one by one.

    Where hosts are remote, everything that touches a host's files runs in its queue.
    """
    here = {"queue": gpu} if os.environ.get("TAILWATCH_REMOTE_HOSTS") else {}

    @task_group
    def launches(received: dict[str, Any]) -> None:
        measured = trial.override(pool=gpu, **here)(received)
        measured >> record.override(**here)(received)

    asked = picked.override(task_id="builds")(orders[gpu], "builds")
    wanted = picked.override(task_id="orders")(orders[gpu], "orders")
    provided = provision.override(retries=1, **here).expand(wanted=asked)
    measured = launches.expand(received=wanted)
    provided >> measured
    return measured


@task
def picked(part: dict[str, list[Any]], name: str) -> list[Any]:
    """Airflow maps over a task's return value only, not over one key of it."""
    return part[name]


def _label(name: str, text: str) -> None:
    """What Airflow shows instead of the map index."""
    cast(dict[str, Any], get_current_context())[name] = text


@task(map_index_template="{{ build }}")
def provision(wanted: dict[str, str]) -> None:
    from dags import steps

    _label("build", wanted["build"])
    steps.provision(wanted)


@task(
    trigger_rule=TriggerRule.ALL_DONE,  # a build that is not there makes failed trials, not gaps
    retries=ATTEMPTS - 1,
    retry_delay=timedelta(seconds=5),
    map_index_template="{{ launch }}",
)
def trial(received: dict[str, Any]) -> None:
    from dags import steps

    _label("launch", f"{received['build']} {received['cells'][0]} #{received['replicate']}")
    if steps.run_trials(received, attempt=get_current_context()["ti"].try_number):
        raise AirflowException("no valid trial yet; see the log above")


@task(
    trigger_rule=TriggerRule.ALL_DONE,
    retries=5,
    retry_delay=timedelta(seconds=10),  # a database that is away delays, never loses
    map_index_template="{{ launch }}",
)
def record(received: dict[str, Any]) -> None:
    from dags import steps

    _label("launch", f"{received['build']} {received['cells'][0]} #{received['replicate']}")
    steps.record_spool(received["night"])


@task(task_id="plan", multiple_outputs=True, retries=2, retry_delay=timedelta(seconds=10))
def plan_confirmations(night: str) -> dict[str, Any]:
    from dags import steps

    orders = steps.plan_confirmations(night)
    if orders is None:
        raise AirflowSkipException("nothing is suspected: nothing is measured again")
    return orders


@task(trigger_rule=TriggerRule.ALL_DONE, retries=2, retry_delay=timedelta(seconds=10))
def judge(night: str) -> None:
    from dags import steps

    steps.judge(night)


@task(
    task_id="judge",
    trigger_rule=TriggerRule.ALL_DONE,
    retries=2,
    retry_delay=timedelta(seconds=10),
)
def judge_again(night: str) -> None:
    """ALL_DONE_MIN_ONE_SUCCESS would not do: one kind of device without launches skips it."""
    from dags import steps

    if not steps.judge_again(night):
        raise AirflowSkipException("nothing was to be confirmed: nothing is judged again")


@task(trigger_rule=TriggerRule.ALL_DONE, retries=2, retry_delay=timedelta(seconds=10))
def announce(night: str) -> None:
    from dags import steps

    steps.announce(night)


@task(trigger_rule=TriggerRule.ALL_DONE)
def gate(night: str) -> None:
    """A run's state is that of its last tasks: this one is red when something is missing."""
    from dags import steps

    try:
        steps.require_complete(night)
    except steps.NightIncomplete as error:
        raise AirflowFailException(str(error)) from error
