"""Requests and telemetry are packed, requests lie in partitions of a month, sketches outlive them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from schema.packed import pack_rows, unpack_rows
from schema.requests import Request, Requests

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A writer may not make or drop tables. These two do it for it, and only this. They act as their
# owner, so their search path is fixed. A month is dropped only when every trial in it has a sketch,
# and while it is dropped recorders wait: none may write into a partition that goes away. The parent
# is locked before the partition, as readers do it.
MONTHS = """
CREATE SCHEMA months;
GRANT USAGE ON SCHEMA months TO tailwatch_reader, tailwatch_writer;

CREATE FUNCTION months.make(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    name text := to_char(day, '"requests_"YYYY_MM');
    first timestamp := date_trunc('month', day::timestamp);
BEGIN
    IF to_regclass('months.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tailwatch.months'));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS months.%I PARTITION OF requests FOR VALUES FROM (%L) TO (%L)',
        name, first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
END $$;

CREATE FUNCTION months.drop(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '10s' AS $$
DECLARE
    name text := to_char(day, '"requests_"YYYY_MM');
    lacking bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tailwatch.record'));
    IF to_regclass('months.' || name) IS NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE requests IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'SELECT count(*) FROM months.%I AS kept'
        ' WHERE NOT EXISTS (SELECT FROM sketches WHERE sketches.trial = kept.trial)', name)
        INTO lacking;
    IF lacking > 0 THEN
        RAISE EXCEPTION 'month % stays: % trials have no sketch', to_char(day, 'YYYY-MM'), lacking;
    END IF;
    EXECUTE format('DROP TABLE months.%I', name);
    INSERT INTO dropped_months (month) VALUES (date_trunc('month', day::timestamp)::date)
        ON CONFLICT (month) DO UPDATE SET dropped_at = now();
    RETURN true;
END $$;

REVOKE ALL ON FUNCTION months.make(date), months.drop(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION months.make(date), months.drop(date) TO tailwatch_writer
"""

Row = Mapping[str, Any]


def upgrade() -> None:
    _put_aside()
    op.create_table(
        "requests",
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["trial"], ["trials.key"], name=op.f("fk_requests_trial")),
        sa.PrimaryKeyConstraint("trial", "launched_at", name=op.f("pk_requests")),
        postgresql_partition_by="RANGE (launched_at)",
    )
    op.create_table(
        "sketches",
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("latency", sa.Text(), nullable=False),
        sa.Column("bins", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("counts", sa.ARRAY(sa.Integer()), nullable=False),
        sa.ForeignKeyConstraint(["trial"], ["trials.key"], name=op.f("fk_sketches_trial")),
        sa.PrimaryKeyConstraint("trial", "latency", name=op.f("pk_sketches")),
    )
    op.create_table(
        "dropped_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column(
            "dropped_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_dropped_months")),
    )
    op.create_table(
        "telemetry",
        sa.Column("launch", sa.Text(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["launch"], ["launches.key"], name=op.f("fk_telemetry_launch")),
        sa.PrimaryKeyConstraint("launch", name=op.f("pk_telemetry")),
    )
    op.execute(MONTHS)
    _pack_requests()
    _pack_telemetry()
    op.execute("DROP SCHEMA aside CASCADE")


def downgrade() -> None:
    """Requests whose month was dropped do not come back; the sketches go."""
    _put_aside()
    op.create_table(
        "requests",
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("scheduled_s", sa.Double(), nullable=False),
        sa.Column("sent_s", sa.Double(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("event_s", sa.ARRAY(sa.Double()), nullable=False),
        sa.Column("event_tokens", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["trial"], ["trials.key"], name=op.f("fk_requests_trial")),
        sa.PrimaryKeyConstraint("trial", "index", name=op.f("pk_requests")),
    )
    op.create_table(
        "telemetry",
        sa.Column("launch", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("utilisation", sa.Double(), nullable=True),
        sa.Column("power_w", sa.Double(), nullable=True),
        sa.Column("energy_j", sa.Double(), nullable=True),
        sa.Column("sm_clock_hz", sa.Double(), nullable=True),
        sa.Column("temperature_c", sa.Double(), nullable=True),
        sa.Column("throttle_reasons", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["launch"], ["launches.key"], name=op.f("fk_telemetry_launch")),
        sa.PrimaryKeyConstraint("launch", "index", name=op.f("pk_telemetry")),
    )
    _unpack("requests", "trial", lambda packed: [own.model_dump() for own in Requests(packed)])
    _unpack("telemetry", "launch", unpack_rows)
    for table in ("sketches", "dropped_months"):
        op.drop_table(table)
    for schema in ("aside", "months"):
        op.execute(f"DROP SCHEMA {schema} CASCADE")


def _put_aside() -> None:
    """The tables of that name, with their rows; constraints of the new ones are named like theirs."""
    op.execute("CREATE SCHEMA aside")
    for table in ("requests", "telemetry"):
        op.execute(f"ALTER TABLE {table} SET SCHEMA aside")


def _rows(statement: str, **asked: Any) -> Sequence[Row]:
    return op.get_bind().execute(sa.text(statement), asked).mappings().all()


def _pack_requests() -> None:
    """One trial at a time: all of them together need not fit into memory."""
    keep = sa.text("INSERT INTO requests VALUES (:trial, :launched_at, :packed)")
    for own in _rows(
        "SELECT trials.key AS trial, launches.started_at AS launched_at FROM trials"
        " JOIN launches ON launches.key = trials.launch"
        " WHERE EXISTS (SELECT FROM aside.requests WHERE trial = trials.key)"
    ):
        sent = _rows(
            "SELECT * FROM aside.requests WHERE trial = :key ORDER BY index", key=own["trial"]
        )
        requests = [
            Request(**{name: value for name, value in row.items() if name != "trial"})
            for row in sent
        ]
        day = own["launched_at"].astimezone(UTC).date()
        op.get_bind().execute(sa.text("SELECT months.make(:day)"), {"day": day})
        op.get_bind().execute(keep, {**own, "packed": Requests.of(requests).packed})


def _pack_telemetry() -> None:
    keep = sa.text("INSERT INTO telemetry VALUES (:launch, :packed)")
    for own in _rows("SELECT DISTINCT launch FROM aside.telemetry"):
        read = _rows(
            "SELECT * FROM aside.telemetry WHERE launch = :launch ORDER BY index", **own
        )
        readings = [
            {name: value for name, value in row.items() if name not in {"launch", "index"}}
            for row in read
        ]
        op.get_bind().execute(keep, {**own, "packed": pack_rows(readings)})


def _unpack(table: str, owner: str, unpack: Callable[[bytes], list[dict[str, Any]]]) -> None:
    bind = op.get_bind()
    made = sa.Table(table, sa.MetaData(), autoload_with=bind)
    for key in [row[owner] for row in _rows(f"SELECT {owner} FROM aside.{table}")]:
        (own,) = _rows(f"SELECT packed FROM aside.{table} WHERE {owner} = :key", key=key)
        rows = [
            {owner: key, "index": at, **{name: row[name] for name in row if name in made.columns}}
            for at, row in enumerate(unpack(own["packed"]))
        ]
        bind.execute(sa.insert(made), rows)
