"""Judge a release: a contender against a baseline, interleaved on the same hosts."""

from datetime import UTC, datetime

from airflow.sdk import Param, dag

from dags.flow import flow
from schema.cells import Engine
from schema.matrix import load_matrix, matrix_names

# PEP 440 without epochs; nothing a shell could read, not even a line that ends (`$` allows one).
VERSION = (
    r"^[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?"
    r"(\+[a-z0-9]+(\.[a-z0-9]+)*)?$(?!\n)"
)
SLUGS = [cell.slug for name in matrix_names() for cell in load_matrix(name).cells]

PARAMS = {
    "engine": Param("vllm", type="string", enum=list(Engine), title="Engine"),
    "version": Param("0.32.0", type="string", pattern=VERSION, title="Contender version"),
    "baseline": Param("0.31.0", type="string", pattern=VERSION, title="Baseline version"),
    "matrix": Param("demo", type="string", enum=matrix_names(), title="Matrix"),
    "cells": Param(
        [],
        type="array",
        examples=SLUGS,
        items={"type": "string", "enum": SLUGS},
        title="Cells",
        description="Only these cells of the matrix; none selects every cell.",
    ),
    "launches": Param(
        5,
        type="integer",
        minimum=1,
        maximum=50,
        title="Launches a side",
        description="Each launch gives every cell one trial. 5 v 5 can reach p = 0.008.",
    ),
    "night": Param(
        None,
        type=["null", "string"],
        pattern=r"^\d{4}-\d{2}-\d{2}(-[a-z0-9.+-]+)?$(?!\n)",
        title="Night",
        description="Name to file it under; empty takes the date and the builds.",
    ),
}


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params=PARAMS,
    max_active_runs=1,
    is_paused_upon_creation=False,
    doc_md=__doc__,
)
def release() -> None:
    from dags.steps import plan_a_release

    flow(plan_a_release)


release()
