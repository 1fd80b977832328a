"""The nightly pass: tonight's builds over the whole matrix, against the nights before."""

import os
from datetime import UTC, datetime

from airflow.sdk import Param, dag

from dags.flow import flow
from schema.matrix import matrix_names

BUILDS = os.environ.get("TAILWATCH_BUILDS", "vllm==0.32.0").split()
MATRIX = os.environ.get("TAILWATCH_MATRIX", "nightly")


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "builds": Param(
            BUILDS,
            type="array",
            items={"type": "string", "pattern": r"^[a-z]+==[0-9A-Za-z.+]+$(?!\n)"},
            title="Builds",
            description="One an engine, such as vllm==0.32.0.",
        ),
        "matrix": Param(MATRIX, type="string", enum=matrix_names(), title="Matrix"),
    },
    doc_md=__doc__,
)
def nightly() -> None:
    from dags.steps import plan_a_night

    flow(plan_a_night, confirms=True)


nightly()
