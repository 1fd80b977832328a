"""The tables of imports: what other people's tools measured, apart from our own trials."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from schema.columns import Base, Big, Json, Key, Recorded, one_of
from schema.imports import Tool
from schema.trials import TrialState


class ImportedFileRow(Base):
    """A file that was read as a whole."""

    __tablename__ = "imported_files"
    __table_args__ = (one_of("tool", Tool),)

    key: Mapped[Key]
    name: Mapped[str]
    tool: Mapped[Tool]
    generation: Mapped[str]
    imported_at: Mapped[Recorded]


class ImportedDefinitionRow(Base):
    """What a tool means by one of its names."""

    __tablename__ = "imported_definitions"
    __table_args__ = (one_of("tool", Tool),)

    key: Mapped[Key]
    tool: Mapped[Tool]
    name: Mapped[str]
    generation: Mapped[str]
    words: Mapped[str]
    unit: Mapped[str]
    direction: Mapped[str | None]
    metric: Mapped[str | None]


class ImportedTrialRow(Base):
    """One execution that a tool measured; `file` is the first in which it was seen."""

    __tablename__ = "imported_trials"
    __table_args__ = (one_of("tool", Tool), one_of("state", TrialState))

    key: Mapped[Key]
    file: Mapped[str] = mapped_column(ForeignKey("imported_files.key"), index=True)
    line: Mapped[int]
    tool: Mapped[Tool]
    generation: Mapped[str]
    tool_version: Mapped[str | None]
    subject: Mapped[str] = mapped_column(index=True)
    facts: Mapped[Json]
    build: Mapped[str | None]
    image: Mapped[str | None]
    measured_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    state: Mapped[TrialState]
    reason: Mapped[str | None]


class ImportedValueRow(Base):
    """One value under its tool's definition, in the definition's unit."""

    __tablename__ = "imported_values"
    __table_args__ = (CheckConstraint("value >= 0 AND value < 'Infinity'", name="finite"),)

    trial: Mapped[str] = mapped_column(ForeignKey("imported_trials.key"), primary_key=True)
    definition: Mapped[str] = mapped_column(
        ForeignKey("imported_definitions.key"), primary_key=True, index=True
    )
    value: Mapped[float]


class ImportedRequestRow(Base):
    """One call as its tool kept it, in seconds."""

    __tablename__ = "imported_requests"

    trial: Mapped[str] = mapped_column(ForeignKey("imported_trials.key"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    error: Mapped[str | None]
    start_s: Mapped[float | None]
    ttft_s: Mapped[float | None]
    e2e_s: Mapped[float | None]
    gap_s: Mapped[list[float]]
    input_tokens: Mapped[Big | None]
    output_tokens: Mapped[Big | None]
