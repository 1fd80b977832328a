"""Housekeeping: every day, requests that were kept long enough give way to their sketches."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task


@dag(
    schedule="0 12 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # a host that measures fills its database from the first night
    params={
        "keep_days": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Days to keep",
            description="Requests of this many days stay; empty means TAILWATCH_KEEP_DAYS.",
        )
    },
    doc_md=__doc__,
)
def housekeeping() -> None:
    keep_house()


@task(retries=3, retry_delay=timedelta(minutes=5))  # readers may be in the way of a drop
def keep_house() -> None:
    from dags import retention

    days = get_current_context()["params"]["keep_days"]
    retention.keep_house(retention.keep_days() if days is None else days)


housekeeping()
