"""Hosts of several cards: what joins these, and the NCCL by which they talk."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    links = sa.Column("links", postgresql.JSONB(), server_default="[]", nullable=False)
    op.add_column("hosts", links)
    op.add_column("hosts", sa.Column("nccl", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("hosts", "nccl")
    op.drop_column("hosts", "links")
