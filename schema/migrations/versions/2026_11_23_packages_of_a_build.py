"""Builds tell the packages that their digest is made of."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    packages = sa.Column("packages", sa.ARRAY(sa.Text()), server_default="{}", nullable=False)
    op.add_column("builds", packages)


def downgrade() -> None:
    op.drop_column("builds", "packages")
