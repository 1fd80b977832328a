"""Imports: files, definitions, trials, values and requests of other people's tools."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    "imported_requests",
    "imported_values",
    "imported_trials",
    "imported_definitions",
    "imported_files",
)
TOOLS = (
    "tool IN ('vllm-bench-serve', 'vllm-bench-latency', 'sglang-bench-serving', 'guidellm', "
    "'aiperf', 'inferencex', 'github-action-benchmark', 'atom-nightly')"
)


def text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "imported_files",
        text("key"), text("name"), text("tool"), text("generation"),
        sa.Column("imported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(TOOLS, name=op.f("ck_imported_files_tool")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_imported_files")),
    )
    op.create_table(
        "imported_definitions",
        text("key"), text("tool"), text("name"), text("generation"), text("words"), text("unit"),
        text("direction", nullable=True), text("metric", nullable=True),
        sa.CheckConstraint(TOOLS, name=op.f("ck_imported_definitions_tool")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_imported_definitions")),
    )
    op.create_table(
        "imported_trials",
        text("key"), text("file"), sa.Column("line", sa.Integer(), nullable=False),
        text("tool"), text("generation"), text("tool_version", nullable=True), text("subject"),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        text("build", nullable=True), text("image", nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True),
        text("state"), text("reason", nullable=True),
        sa.CheckConstraint(TOOLS, name=op.f("ck_imported_trials_tool")),
        sa.CheckConstraint("state IN ('valid', 'invalid', 'failed')", name=op.f("ck_imported_trials_state")),
        sa.ForeignKeyConstraint(["file"], ["imported_files.key"], name=op.f("fk_imported_trials_file")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_imported_trials")),
    )
    op.create_index(op.f("ix_imported_trials_file"), "imported_trials", ["file"])
    op.create_index(op.f("ix_imported_trials_subject"), "imported_trials", ["subject"])
    op.create_table(
        "imported_values",
        text("trial"), text("definition"), sa.Column("value", sa.Double(), nullable=False),
        sa.CheckConstraint("value >= 0 AND value < 'Infinity'", name=op.f("ck_imported_values_finite")),
        sa.ForeignKeyConstraint(["trial"], ["imported_trials.key"], name=op.f("fk_imported_values_trial")),
        sa.ForeignKeyConstraint(
            ["definition"], ["imported_definitions.key"], name=op.f("fk_imported_values_definition")
        ),
        sa.PrimaryKeyConstraint("trial", "definition", name=op.f("pk_imported_values")),
    )
    op.create_index(op.f("ix_imported_values_definition"), "imported_values", ["definition"])
    op.create_table(
        "imported_requests",
        text("trial"), sa.Column("index", sa.Integer(), nullable=False), text("error", nullable=True),
        sa.Column("start_s", sa.Double(), nullable=True),
        sa.Column("ttft_s", sa.Double(), nullable=True),
        sa.Column("e2e_s", sa.Double(), nullable=True),
        sa.Column("gap_s", sa.ARRAY(sa.Double()), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["trial"], ["imported_trials.key"], name=op.f("fk_imported_requests_trial")),
        sa.PrimaryKeyConstraint("trial", "index", name=op.f("pk_imported_requests")),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
