"""Silent verdicts: of a policy in shadow, and of the control arm set against itself."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ARMS = (
    "'nightly', 'control', 'confirm-baseline', 'confirm-contender', 'release-baseline', "
    "'release-contender', 'ad-hoc'"
)
VERDICTS = "'regression', 'improvement', 'no change', 'inconclusive'"


def upgrade() -> None:
    op.create_table(
        "silent_verdicts",
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("change", sa.Double(), nullable=True),
        sa.Column("p", sa.Double(), nullable=True),
        sa.Column("p_adjusted", sa.Double(), nullable=True),
        sa.Column(
            "judged_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(f"arm IN ({ARMS})", name=op.f("ck_silent_verdicts_arm")),
        sa.CheckConstraint(f"verdict IN ({VERDICTS})", name=op.f("ck_silent_verdicts_verdict")),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_silent_verdicts_cell")),
        sa.ForeignKeyConstraint(["night"], ["nights.name"], name=op.f("fk_silent_verdicts_night")),
        sa.PrimaryKeyConstraint(
            "night", "policy", "arm", "cell", "metric", name=op.f("pk_silent_verdicts")
        ),
    )
    op.create_index(op.f("ix_silent_verdicts_cell"), "silent_verdicts", ["cell"])


def downgrade() -> None:
    op.drop_table("silent_verdicts")
