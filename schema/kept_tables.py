"""The tables that hold most bytes: what was sent and read during launches, and what outlives it."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from schema.columns import Base, Big, Key, Recorded


class RequestsRow(Base):
    """All requests of a trial, packed, in the partition of the month of its launch."""

    __tablename__ = "requests"
    __table_args__ = ({"postgresql_partition_by": "RANGE (launched_at)"},)

    trial: Mapped[str] = mapped_column(ForeignKey("trials.key"), primary_key=True)
    launched_at: Mapped[datetime] = mapped_column(primary_key=True)
    packed: Mapped[bytes]


class SketchRow(Base):
    """How one latency of a trial was distributed; outlives the trial's requests."""

    __tablename__ = "sketches"

    trial: Mapped[str] = mapped_column(ForeignKey("trials.key"), primary_key=True)
    latency: Mapped[Key]
    bins: Mapped[list[int]]
    counts: Mapped[list[int]]


class SelectionsRow(Base):
    """How often each expert was chosen in a trial whose engine returned its experts."""

    __tablename__ = "selections"
    __table_args__ = (CheckConstraint("requests > 0 AND tokens > 0", name="counted"),)

    trial: Mapped[str] = mapped_column(ForeignKey("trials.key"), primary_key=True)
    requests: Mapped[int]
    tokens: Mapped[Big]
    packed: Mapped[bytes]


class DroppedMonthRow(Base):
    """A month whose requests were dropped."""

    __tablename__ = "dropped_months"

    month: Mapped[date] = mapped_column(primary_key=True)
    dropped_at: Mapped[Recorded]


class TelemetryRow(Base):
    """All readings of the machine during a launch, packed."""

    __tablename__ = "telemetry"

    launch: Mapped[str] = mapped_column(ForeignKey("launches.key"), primary_key=True)
    packed: Mapped[bytes]
