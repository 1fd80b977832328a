"""Confirmations: what a night planned to make sure of its suspicions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "confirmations",
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("episode", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=True),
        sa.Column("baseline", sa.Text(), nullable=True),
        sa.Column("contender", sa.Text(), nullable=True),
        sa.Column("launches", sa.Integer(), nullable=False),
        sa.Column("gpu_minutes", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "launches >= 0 AND gpu_minutes >= 0", name=op.f("ck_confirmations_counts")
        ),
        sa.CheckConstraint(
            "launches = 0 OR num_nulls(cell, baseline, contender) = 0",
            name=op.f("ck_confirmations_launched"),
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_confirmations_reason")),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_confirmations_cell")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_confirmations_night")),
        sa.PrimaryKeyConstraint("night", "episode", name=op.f("pk_confirmations")),
    )
    op.create_index(op.f("ix_confirmations_cell"), "confirmations", ["cell"])


def downgrade() -> None:
    op.drop_table("confirmations")
