"""Telemetry tells memory clocks, ECC errors and remapped rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002_telemetry"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = {
    "memory_clock_hz": sa.Double(),
    "ecc_corrected": sa.BigInteger(),
    "ecc_uncorrected": sa.BigInteger(),
    "remapped_rows": sa.BigInteger(),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("telemetry", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("telemetry", name)
