"""How far a DAG run is, and how long it will take: arithmetic only.

The mapped task `trial` is one engine launch; each of its cells gets one trial from it. There is one
such task for each kind of device (`cpu.trial`), and the kinds work side by side.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from statistics import fmean

from schema.words import Word
from tailwatch.airflow_client import TaskInstance

STEPS = {
    "plan": "planning",
    "provision": "providing builds",
    "trial": "measuring",
    "record": "recording",
    "judge": "judging",
    "announce": "announcing",
    "gate": "closing",
}
"""Tasks in the order of the flow, with what people read."""

UNTIL_MEASURED = (STEPS["plan"], STEPS["provision"], STEPS["trial"])
"""Steps during which the remaining time is worth telling: the others take seconds."""

LAUNCH = "trial"
ENDED = ("success", "failed", "upstream_failed", "skipped", "removed")
WORKING = ("running", "restarting")


class Progress(Word):
    """One look at a run."""

    step: str
    launches_done: int = 0
    launches_total: int | None = None
    """None before the plan is made."""
    launches_failed: int = 0
    running: tuple[str, ...] = ()
    """Labels of the launches that run now."""
    remaining_s: float | None = None
    """Of the launches; None while there is nothing to derive it from."""

    @property
    def line(self) -> str:
        """One line for people: `measuring: 3 of 20 launches, about 12 min left, running X`."""
        parts = [self.step if self.launches_total is None else f"{self.step}: {self._launches()}"]
        if self.step in UNTIL_MEASURED and self.launches_done != self.launches_total:
            parts.append(self._remaining())
        if self.running:
            parts.append(f"running {', '.join(self.running)}")
        return ", ".join(parts)

    def _launches(self) -> str:
        failed = f" ({self.launches_failed} failed)" if self.launches_failed else ""
        return f"{self.launches_done} of {self.launches_total} launches{failed}"

    def _remaining(self) -> str:
        return "estimating" if self.remaining_s is None else f"about {spell(self.remaining_s)} left"


def measure(
    instances: Sequence[TaskInstance], now: datetime, earlier: Sequence[TaskInstance] = ()
) -> Progress:
    """Progress from the tasks of this run; `earlier` are those of the run before, if any."""
    launches = [one for one in instances if _step_of(one) == LAUNCH and one.map_index >= 0]
    running = [one for one in launches if one.state in WORKING]
    done = [one for one in launches if one.state in ENDED]
    return Progress(
        step=_step(instances),
        launches_done=len(done),
        launches_total=len(launches) or None,
        launches_failed=sum(one.state in ("failed", "upstream_failed") for one in launches),
        running=tuple(_label(one) for one in running),
        remaining_s=_remaining(launches, now, _durations(launches) or _durations(earlier)),
    )


def spell(seconds: float) -> str:
    """`1 min`, `7 min`, `2 h 05 min`: rounded up, for nobody minds an early end."""
    minutes = max(1, math.ceil(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _durations(instances: Sequence[TaskInstance]) -> list[float]:
    """Of launches that succeeded: a failed one ends early or late, never typically."""
    return [
        one.duration_s
        for one in instances
        if _step_of(one) == LAUNCH and one.state == "success" and one.duration_s
    ]


def _remaining(
    launches: Sequence[TaskInstance], now: datetime, durations: Sequence[float]
) -> float | None:
    """Mean duration for each launch not begun, and what is left of it for each that runs.

    One kind of device serves one launch at a time, so the slowest kind decides.
    """
    if not durations or not launches:
        return None
    typical = fmean(durations)
    left: defaultdict[str, float] = defaultdict(float)
    for one in launches:
        left[one.task] += max(0.0, typical - _spent(one, now)) if one.state not in ENDED else 0.0
    return max(left.values())


def _label(one: TaskInstance) -> str:
    """Airflow may know the label only after the launch; until then it gives the bare index."""
    if one.label is None or one.label == str(one.map_index):
        return f"launch {one.map_index + 1}"
    return one.label


def _spent(one: TaskInstance, now: datetime) -> float:
    began = one.started_at if one.state in WORKING else None
    return (now - began).total_seconds() if began else 0.0


def _step_of(one: TaskInstance) -> str:
    """The task without the group that holds it."""
    return one.task.rpartition(".")[2]


def _step(instances: Sequence[TaskInstance]) -> str:
    """The first step of the flow that has not ended."""
    for task, name in STEPS.items():
        ours = [one for one in instances if _step_of(one) == task]
        if not ours or any(one.state not in ENDED for one in ours):
            return name
    return "finished"
