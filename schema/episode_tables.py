"""The tables of episodes: one row each, what it moved, and every step of its history."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from schema.columns import Base, Json, Key, one_of
from schema.episodes import EpisodeState
from schema.judgements import Verdict
from schema.nights import NightKind


class EpisodeRow(Base):
    """One cause. What can be searched for; all of it follows from the history."""

    __tablename__ = "episodes"
    __table_args__ = (one_of("state", EpisodeState), one_of("verdict", Verdict))

    key: Mapped[Key]
    state: Mapped[EpisodeState] = mapped_column(index=True)
    verdict: Mapped[Verdict]
    opened: Mapped[str] = mapped_column(ForeignKey("nights.name"))
    changed: Mapped[str] = mapped_column(ForeignKey("nights.name"))
    closed: Mapped[str | None] = mapped_column(ForeignKey("nights.name"))


class EpisodeSpellRow(Base):
    """Nights during which an episode was open: a step that comes back begins another."""

    __tablename__ = "episode_spells"
    __table_args__ = (one_of("state", EpisodeState),)

    episode: Mapped[str] = mapped_column(
        ForeignKey("episodes.key", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    begun: Mapped[str] = mapped_column(ForeignKey("nights.name"))
    ended: Mapped[str | None] = mapped_column(ForeignKey("nights.name"))
    state: Mapped[EpisodeState]


class EpisodeMemberRow(Base):
    """One metric of one cell that an episode moved, as it was when it was first seen."""

    __tablename__ = "episode_members"
    __table_args__ = (one_of("kind", NightKind), one_of("verdict", Verdict))

    episode: Mapped[str] = mapped_column(
        ForeignKey("episodes.key", ondelete="CASCADE"), primary_key=True
    )
    cell: Mapped[str] = mapped_column(ForeignKey("cells.key"), primary_key=True, index=True)
    metric: Mapped[Key]
    kind: Mapped[NightKind] = mapped_column(primary_key=True)
    night: Mapped[str] = mapped_column(ForeignKey("nights.name"))
    change: Mapped[float]
    p: Mapped[float | None]
    verdict: Mapped[Verdict]


class EpisodeTransitionRow(Base):
    """One step: tailwatch's, dated by its night, or a person's, with the time."""

    __tablename__ = "episode_transitions"
    __table_args__ = (
        one_of("before", EpisodeState),
        one_of("state", EpisodeState),
        CheckConstraint("(by = 'tailwatch') = (at IS NULL)", name="dated"),
        CheckConstraint("reason <> ''", name="reason"),
    )

    episode: Mapped[str] = mapped_column(
        ForeignKey("episodes.key", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    night: Mapped[str] = mapped_column(ForeignKey("nights.name"))
    by: Mapped[str]
    at: Mapped[datetime | None]
    before: Mapped[EpisodeState | None]
    state: Mapped[EpisodeState]
    reason: Mapped[str]
    cause: Mapped[Json | None]
    owner: Mapped[str | None]
    due: Mapped[date | None]
    link: Mapped[str | None]


class ConfirmationRow(Base):
    """What a night planned to confirm one episode. Judging makes episodes anew: no foreign key."""

    __tablename__ = "confirmations"
    __table_args__ = (
        CheckConstraint("launches >= 0 AND gpu_minutes >= 0", name="counts"),
        CheckConstraint(
            "launches = 0 OR num_nulls(cell, baseline, contender) = 0", name="launched"
        ),
        CheckConstraint("reason <> ''", name="reason"),
    )

    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), primary_key=True)
    episode: Mapped[Key]
    position: Mapped[int]
    cell: Mapped[str | None] = mapped_column(ForeignKey("cells.key"), index=True)
    baseline: Mapped[str | None]
    contender: Mapped[str | None]
    launches: Mapped[int]
    gpu_minutes: Mapped[float]
    reason: Mapped[str]
