"""Episodes: one cause over all that it moves, and what became of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATES = (
    "'suspected', 'confirmed', 'acknowledged', 'infrastructure', 'expected', 'fixed', "
    "'not reproduced', 'transient'"
)
VERDICTS = "'regression', 'improvement', 'no change', 'inconclusive'"
NIGHT = "nights.name"


def upgrade() -> None:
    op.create_table(
        "episodes",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("opened", sa.Text(), nullable=False),
        sa.Column("changed", sa.Text(), nullable=False),
        sa.Column("closed", sa.Text(), nullable=True),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_episodes_state")),
        sa.CheckConstraint(f"verdict IN ({VERDICTS})", name=op.f("ck_episodes_verdict")),
        sa.ForeignKeyConstraint(["changed"], [NIGHT], name=op.f("fk_episodes_changed")),
        sa.ForeignKeyConstraint(["closed"], [NIGHT], name=op.f("fk_episodes_closed")),
        sa.ForeignKeyConstraint(["opened"], [NIGHT], name=op.f("fk_episodes_opened")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_episodes")),
    )
    op.create_index(op.f("ix_episodes_state"), "episodes", ["state"])
    op.create_table(
        "episode_spells",
        sa.Column("episode", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("begun", sa.Text(), nullable=False),
        sa.Column("ended", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_episode_spells_state")),
        sa.ForeignKeyConstraint(["begun"], [NIGHT], name=op.f("fk_episode_spells_begun")),
        sa.ForeignKeyConstraint(["ended"], [NIGHT], name=op.f("fk_episode_spells_ended")),
        sa.ForeignKeyConstraint(
            ["episode"],
            ["episodes.key"],
            name=op.f("fk_episode_spells_episode"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("episode", "position", name=op.f("pk_episode_spells")),
    )
    op.create_table(
        "episode_members",
        sa.Column("episode", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("change", sa.Double(), nullable=False),
        sa.Column("p", sa.Double(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('nightly', 'release')", name=op.f("ck_episode_members_kind")),
        sa.CheckConstraint(f"verdict IN ({VERDICTS})", name=op.f("ck_episode_members_verdict")),
        sa.ForeignKeyConstraint(["cell"], ["cells.key"], name=op.f("fk_episode_members_cell")),
        sa.ForeignKeyConstraint(
            ["episode"],
            ["episodes.key"],
            name=op.f("fk_episode_members_episode"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["night"], [NIGHT], name=op.f("fk_episode_members_night")),
        sa.PrimaryKeyConstraint(
            "episode", "cell", "metric", "kind", name=op.f("pk_episode_members")
        ),
    )
    op.create_index(op.f("ix_episode_members_cell"), "episode_members", ["cell"])
    op.create_table(
        "episode_transitions",
        sa.Column("episode", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause", postgresql.JSONB(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.CheckConstraint(f"before IN ({STATES})", name=op.f("ck_episode_transitions_before")),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_episode_transitions_state")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_episode_transitions_reason")),
        sa.CheckConstraint(
            "(by = 'tailwatch') = (at IS NULL)", name=op.f("ck_episode_transitions_dated")
        ),
        sa.ForeignKeyConstraint(
            ["episode"],
            ["episodes.key"],
            name=op.f("fk_episode_transitions_episode"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["night"], [NIGHT], name=op.f("fk_episode_transitions_night")),
        sa.PrimaryKeyConstraint("episode", "position", name=op.f("pk_episode_transitions")),
    )


def downgrade() -> None:
    for table in ("episode_transitions", "episode_members", "episode_spells", "episodes"):
        op.drop_table(table)
