"""A release asked for: a contender against a baseline over a matrix."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from schema.matrix import Matrix, load_matrix
from schema.nights import Night
from schema.trials import BuildSpec
from schema.words import Word
from tailwatch.airflow_client import AirflowClient, DagRun
from tailwatch.errors import UsageError

_NIGHT_NAME: TypeAdapter[str] = TypeAdapter(Annotated[str, Night.model_fields["name"]])

DAG = "release"
DAG_KNOWN_WITHIN_S = 120.0


class ReleaseRequest(Word):
    """What the release DAG is given."""

    contender: BuildSpec
    baseline: BuildSpec
    matrix: str
    launches: int = Field(gt=0)
    """Engine launches of each family and side."""
    cells: tuple[str, ...] = ()
    """Slugs; none select the whole matrix."""
    night: str

    @property
    def conf(self) -> dict[str, Any]:
        conf: dict[str, Any] = {
            "engine": str(self.contender.engine),
            "version": self.contender.version,
            "baseline": self.baseline.version,
            "matrix": self.matrix,
            "launches": self.launches,
            "night": self.night,
        }
        return {**conf, "cells": list(self.cells)} if self.cells else conf


def ask(
    contender: str,
    baseline: str,
    *,
    matrix: str,
    launches: int,
    cells: tuple[str, ...] = (),
    night: str | None = None,
) -> ReleaseRequest:
    """Check what was typed; raises UsageError, or the matrix's own error with every mistake."""
    builds = _builds(contender, baseline)
    if launches < 1:
        raise UsageError(f"--launches {launches}: at least 1 a side, 5 to reach p = 0.008")
    _require_family(load_matrix(matrix), builds[0], cells)
    name = night or night_name(*builds)
    require_night_name(name)
    return ReleaseRequest(
        contender=builds[0],
        baseline=builds[1],
        matrix=matrix,
        launches=launches,
        cells=cells,
        night=name,
    )


def night_name(contender: BuildSpec, baseline: BuildSpec) -> str:
    """`2026-11-22-release-vllm-0.32.0-vs-0.31.0`, by the date in UTC."""
    today = datetime.now(UTC).date()
    return f"{today}-release-{contender.engine}-{contender.version}-vs-{baseline.version}"


def begin(client: AirflowClient, request: ReleaseRequest) -> DagRun:
    """Trigger the release, or take up the run of this night when there is one.

    Raises UsageError when the night's run was asked for something else.
    """
    client.wait_for_dag(DAG, within_s=DAG_KNOWN_WITHIN_S)
    client.unpause(DAG)
    run = client.run(DAG, request.night)
    if run is None:
        return client.trigger(DAG, request.night, request.conf)
    if run.conf != request.conf:
        raise UsageError(
            f"night {request.night} was begun with {run.conf}: name another with --night, such as "
            f"{request.night}-b"
        )
    return take_up(client, run)


def take_up(client: AirflowClient, run: DagRun) -> DagRun:
    """Let the failed tasks of an unfinished run run again; a finished one is left as it is."""
    if not run.is_finished:
        client.clear_failed(DAG, run.run_id)
    return run


def unfinished(client: AirflowClient, request: ReleaseRequest) -> DagRun | None:
    """An unfinished run of the same comparison, begun on whatever date."""
    client.wait_for_dag(DAG, within_s=DAG_KNOWN_WITHIN_S)
    wanted = {**request.conf, "night": None}
    for run in client.runs(DAG):
        if not run.is_finished and {**run.conf, "night": None} == wanted:
            return run
    return None


def _builds(contender: str, baseline: str) -> tuple[BuildSpec, BuildSpec]:
    try:
        ours = BuildSpec.parse(contender)
        theirs = BuildSpec.parse(baseline if "==" in baseline else f"{ours.engine}=={baseline}")
    except ValidationError as error:
        raise UsageError("; ".join(one["msg"] for one in error.errors())) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    if ours.engine is not theirs.engine:
        raise UsageError(f"{ours} cannot be set against {theirs}: cells belong to one engine")
    return ours, theirs


def _require_family(matrix: Matrix, contender: BuildSpec, cells: tuple[str, ...]) -> None:
    chosen = matrix.select(cells)
    if not any(cell.family.engine is contender.engine for cell in chosen):
        raise UsageError(f"matrix {matrix.name} has no cell of {contender.engine} among those")


def require_night_name(name: str) -> None:
    """Raises UsageError, with how a name is written."""
    try:
        _NIGHT_NAME.validate_python(name)
        date.fromisoformat(name[:10])
    except ValueError as error:
        raise UsageError(
            f"{name!r} does not name a night: a date such as 2026-11-22, then -words in lower case"
        ) from error
