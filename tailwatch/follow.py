"""Watching a DAG run until it ends, and showing how far it is."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from tailwatch.airflow_client import AirflowClient, DagRun, TaskInstance
from tailwatch.errors import AirflowUnreachable
from tailwatch.progress import Progress, measure

POLL_S = 2.0
REPEAT_S = 15.0
UNREACHABLE_FOR_S = 60.0
Show = Callable[[Progress], None]


def follow(
    client: AirflowClient,
    dag_id: str,
    run_id: str,
    show: Show,
    require_alive: Callable[[], None],
    *,
    poll_s: float = POLL_S,
) -> DagRun:
    """Show the run's progress until it has ended; returns how it ended.

    `require_alive` raises when the stack is gone. Airflow may be silent for a minute.
    """
    earlier = _earlier(client, dag_id, run_id)
    silent_since: float | None = None
    while True:
        try:
            run = client.run(dag_id, run_id)
            show(measure(client.task_instances(dag_id, run_id), datetime.now(UTC), earlier))
            silent_since = None
        except AirflowUnreachable:
            silent_since = silent_since or time.monotonic()
            require_alive()
            if time.monotonic() - silent_since > UNREACHABLE_FOR_S:
                raise
            run = None
        if run is not None and run.is_finished:
            return run
        require_alive()
        time.sleep(poll_s)


@contextmanager
def display(stream: TextIO = sys.stderr) -> Iterator[Show]:
    """A moving bar on a terminal; elsewhere a line at every change and every 15 s."""
    if not stream.isatty():
        yield _lines(stream)
        return
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("waiting for Airflow", total=None)

        def show(progress: Progress) -> None:
            total, done = progress.launches_total, progress.launches_done
            bar.update(task, total=total, completed=done, description=progress.line)

        yield show


def _lines(stream: TextIO) -> Show:
    last, at = "", 0.0

    def show(progress: Progress) -> None:
        nonlocal last, at
        # The remaining time alone always changes; it is no reason for a line of its own.
        change = progress.model_copy(update={"remaining_s": None}).line
        if change != last or time.monotonic() - at >= REPEAT_S:
            last, at = change, time.monotonic()
            print(progress.line, file=stream, flush=True)

    return show


def _earlier(client: AirflowClient, dag_id: str, run_id: str) -> Sequence[TaskInstance]:
    """Tasks of the run before this one, whose durations serve until this one has its own."""
    for run in client.runs(dag_id):
        if run.run_id != run_id and run.is_finished:
            return client.task_instances(dag_id, run.run_id)
    return ()
