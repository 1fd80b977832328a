"""The tables, and the two roles that may read and write them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "builds",
    "cells",
    "hosts",
    "nights",
    "annotations",
    "comparisons",
    "digests",
    "launches",
    "planned_cells",
    "telemetry",
    "trials",
    "verdicts",
    "measurements",
    "requests",
)

# Roles belong to the whole cluster: another database, or another migration running right now, may
# have made them. From Postgres 16 on, who creates a role may grant it but not yet act as it.
ROLE = """
DO $$
DECLARE
    acts_as text := CASE WHEN current_setting('server_version_num')::int >= 160000
                         THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        BEGIN
            CREATE ROLE {role} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    IF NOT pg_has_role(current_user, '{role}', acts_as) THEN
        EXECUTE format('GRANT {role} TO %I', current_user);
    END IF;
END $$
"""

# Before Postgres 15 everybody may create tables in the schema public.
GIVE_PRIVILEGES = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tailwatch_reader, tailwatch_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO tailwatch_reader, tailwatch_writer;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tailwatch_writer;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM tailwatch_writer;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT ON TABLES TO tailwatch_reader, tailwatch_writer;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT INSERT, UPDATE, DELETE ON TABLES TO tailwatch_writer
"""

TAKE_PRIVILEGES = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    REVOKE ALL ON TABLES FROM tailwatch_reader, tailwatch_writer;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM tailwatch_reader, tailwatch_writer;
REVOKE ALL ON SCHEMA public FROM tailwatch_reader, tailwatch_writer
"""

# A role that other databases use, or that other accounts rely on, stays.
DROP_ROLE = """
DO $$
BEGIN
    DROP ROLE {role};
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege OR object_in_use
    OR undefined_object THEN NULL;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "builds",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("artefact", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source_commit", sa.Text(), nullable=True),
        sa.CheckConstraint("artefact IN ('environment', 'image')", name=op.f("ck_builds_artefact")),
        sa.CheckConstraint("engine IN ('vllm', 'sglang')", name=op.f("ck_builds_engine")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_builds")),
    )
    op.create_table(
        "cells",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("family_slug", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("engine IN ('vllm', 'sglang')", name=op.f("ck_cells_engine")),
        sa.CheckConstraint("gpu IN ('cpu', 'h100', 'h200')", name=op.f("ck_cells_gpu")),
        sa.CheckConstraint(
            "precision IN ('bf16', 'fp8', 'awq-int4', 'gptq-int4')", name=op.f("ck_cells_precision")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_cells")),
    )
    op.create_index(op.f("ix_cells_family"), "cells", ["family"], unique=False)
    op.create_index(op.f("ix_cells_slug"), "cells", ["slug"], unique=False)
    op.create_table(
        "hosts",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.Column("cards", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("driver", sa.Text(), nullable=True),
        sa.Column("cuda", sa.Text(), nullable=True),
        sa.Column("cpu", sa.Text(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("kernel", sa.Text(), nullable=False),
        sa.Column("python", sa.Text(), nullable=False),
        sa.CheckConstraint("gpu IN ('cpu', 'h100', 'h200')", name=op.f("ck_hosts_gpu")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_hosts")),
    )
    op.create_table(
        "nights",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("matrix", sa.Text(), nullable=False),
        sa.Column("matrix_digest", sa.Text(), nullable=False),
        sa.Column("contenders", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("baselines", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("launches", sa.Integer(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("kind IN ('nightly', 'release')", name=op.f("ck_nights_kind")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nights")),
    )
    op.create_index(op.f("ix_nights_date"), "nights", ["date"], unique=False)
    op.create_table(
        "annotations",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=True),
        sa.Column("metric", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_annotations_cell")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_annotations_night")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_annotations")),
    )
    op.create_index(op.f("ix_annotations_cell"), "annotations", ["cell"], unique=False)
    op.create_index(op.f("ix_annotations_night"), "annotations", ["night"], unique=False)
    op.create_table(
        "comparisons",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("baseline", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("contender", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("change", sa.Double(), nullable=True),
        sa.Column("interval_low", sa.Double(), nullable=True),
        sa.Column("interval_high", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("p", sa.Double(), nullable=True),
        sa.Column("least_p", sa.Double(), nullable=True),
        sa.Column("p_adjusted", sa.Double(), nullable=True),
        sa.Column("family_size", sa.Integer(), nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "num_nulls(interval_low, interval_high) <> 1", name=op.f("ck_comparisons_ends")
        ),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_comparisons_cell")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_comparisons_night")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_comparisons")),
    )
    op.create_index(op.f("ix_comparisons_cell"), "comparisons", ["cell"], unique=False)
    op.create_index(op.f("ix_comparisons_night"), "comparisons", ["night"], unique=False)
    op.create_table(
        "digests",
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column(
            "claimed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ts", sa.Text(), nullable=True),
        sa.CheckConstraint("(posted_at IS NULL) = (ts IS NULL)", name=op.f("ck_digests_posted")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_digests_night")),
        sa.PrimaryKeyConstraint("night", "channel", name=op.f("pk_digests")),
    )
    op.create_table(
        "launches",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("build", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("startup_s", sa.Double(), nullable=True),
        sa.Column("caches_warm", sa.Boolean(), nullable=True),
        sa.Column("command", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("environment", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("effective", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("overhead_s", sa.Double(), nullable=True),
        sa.Column("phases_s", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "arm IN ('nightly', 'control', 'confirm-baseline', 'confirm-contender', 'release-baseline', 'release-contender', 'ad-hoc')",
            name=op.f("ck_launches_arm"),
        ),
        sa.CheckConstraint("replicate >= 0 AND attempt >= 1", name=op.f("ck_launches_counts")),
        sa.ForeignKeyConstraint(["build"], ["builds.key"], name=op.f("fk_launches_build")),
        sa.ForeignKeyConstraint(["host"], ["hosts.fingerprint"], name=op.f("fk_launches_host")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_launches_night")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_launches")),
    )
    op.create_index(op.f("ix_launches_build"), "launches", ["build"], unique=False)
    op.create_index(op.f("ix_launches_host"), "launches", ["host"], unique=False)
    op.create_index(op.f("ix_launches_night"), "launches", ["night"], unique=False)
    op.create_table(
        "planned_cells",
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_planned_cells_cell")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_planned_cells_night")),
        sa.PrimaryKeyConstraint("night", "cell", name=op.f("pk_planned_cells")),
    )
    op.create_index(op.f("ix_planned_cells_cell"), "planned_cells", ["cell"], unique=False)
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
    op.create_table(
        "trials",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("launch", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("checks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("server", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("not_estimable", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("state IN ('valid', 'invalid', 'failed')", name=op.f("ck_trials_state")),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_trials_cell")),
        sa.ForeignKeyConstraint(["launch"], ["launches.key"], name=op.f("fk_trials_launch")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_trials")),
    )
    op.create_index(op.f("ix_trials_cell"), "trials", ["cell"], unique=False)
    op.create_index(op.f("ix_trials_launch"), "trials", ["launch"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("comparison", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column(
            "judged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "verdict IN ('regression', 'improvement', 'no change', 'inconclusive')",
            name=op.f("ck_verdicts_verdict"),
        ),
        sa.ForeignKeyConstraint(
            ["comparison"],
            ["comparisons.key"],
            name=op.f("fk_verdicts_comparison"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("comparison", name=op.f("pk_verdicts")),
    )
    op.create_table(
        "measurements",
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "value > '-Infinity' AND value < 'Infinity'", name=op.f("ck_measurements_finite")
        ),
        sa.ForeignKeyConstraint(["trial"], ["trials.key"], name=op.f("fk_measurements_trial")),
        sa.PrimaryKeyConstraint("trial", "metric", name=op.f("pk_measurements")),
    )
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
    for role in ("tailwatch_reader", "tailwatch_writer"):
        op.execute(ROLE.format(role=role))
    op.execute(GIVE_PRIVILEGES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute(TAKE_PRIVILEGES)
    for role in ("tailwatch_reader", "tailwatch_writer"):
        op.execute(DROP_ROLE.format(role=role))
