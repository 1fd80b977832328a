"""Selections: how often each expert of each layer was chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "selections",
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("requests > 0 AND tokens > 0", name=op.f("ck_selections_counted")),
        sa.ForeignKeyConstraint(["trial"], ["trials.key"], name=op.f("fk_selections_trial")),
        sa.PrimaryKeyConstraint("trial", name=op.f("pk_selections")),
    )


def downgrade() -> None:
    op.drop_table("selections")
