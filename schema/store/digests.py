"""Digests: the outbox that keeps a night from being told twice."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from schema.session import SchemaError
from schema.store.nights import night as _night
from schema.tables import DigestRow


class DigestNotClaimed(SchemaError):
    """A digest was posted that nobody had claimed, or that was posted before."""


@dataclass(frozen=True, kw_only=True)
class Digest:
    """One message of one night to one channel."""

    night: str
    channel: str
    claimed_at: datetime
    posted_at: datetime | None
    """None: claimed, and either being posted now or interrupted before Slack answered."""
    ts: str | None
    """Slack's name for the message, for its thread."""


def claim_digest(session: Session, night: str, channel: str) -> bool:
    """True for exactly one caller, who then posts. Commit before the post. Raises UnknownNight."""
    _night(session, night)
    row = insert(DigestRow).values(night=night, channel=channel)
    claimed = session.scalar(row.on_conflict_do_nothing().returning(DigestRow.night))
    return claimed is not None


def digest_posted(session: Session, night: str, channel: str, ts: str) -> None:
    """Note that Slack took the message; raises DigestNotClaimed."""
    posted = (
        update(DigestRow)
        .where(*_open(night, channel))
        .values(posted_at=func.now(), ts=ts)
        .returning(DigestRow.night)
    )
    if session.scalar(posted) is None:
        raise DigestNotClaimed(
            f"the digest of {night} for {channel} is not waiting to be posted: claim it first"
        )


def release_digest(session: Session, night: str, channel: str) -> bool:
    """Undo a claim after a failed post; False when there is none, or the message is out."""
    released = delete(DigestRow).where(*_open(night, channel)).returning(DigestRow.night)
    return session.scalar(released) is not None


def digests(session: Session, night: str) -> list[Digest]:
    """What was claimed or posted about a night, by channel."""
    statement = select(DigestRow).where(DigestRow.night == night).order_by(DigestRow.channel)
    return [
        Digest(
            night=row.night,
            channel=row.channel,
            claimed_at=row.claimed_at,
            posted_at=row.posted_at,
            ts=row.ts,
        )
        for row in session.scalars(statement)
    ]


def _open(night: str, channel: str) -> tuple[ColumnElement[bool], ...]:
    return (
        DigestRow.night == night,
        DigestRow.channel == channel,
        DigestRow.posted_at.is_(None),
    )
