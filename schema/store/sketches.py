"""Sketches: how the latencies of a trial were distributed, for good."""

from collections.abc import Mapping

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from schema.kept_tables import RequestsRow, SketchRow

Bins = Mapping[int, int]
"""Counts by bin, see `stats.sketch`."""


def trials_without_sketch(session: Session) -> list[str]:
    """Keys of the trials whose requests are kept and not sketched yet, oldest launch first."""
    missing = ~exists().where(SketchRow.trial == RequestsRow.trial)
    order = (RequestsRow.launched_at, RequestsRow.trial)
    return list(session.scalars(select(RequestsRow.trial).where(missing).order_by(*order)))


def keep_sketches(session: Session, trial_key: str, latencies: Mapping[str, Bins]) -> None:
    """One sketch for each latency of a trial; keeping them twice changes nothing."""
    rows = [
        {"trial": trial_key, "latency": name, "bins": list(own), "counts": list(own.values())}
        for name, own in latencies.items()
    ]
    session.execute(insert(SketchRow).values(rows).on_conflict_do_nothing())


def sketches(session: Session, trial_key: str) -> dict[str, dict[int, int]]:
    """Counts by bin of each latency (ttft, itl, tpot, e2e); empty before housekeeping saw it."""
    rows = session.scalars(select(SketchRow).where(SketchRow.trial == trial_key))
    return {row.latency: dict(zip(row.bins, row.counts, strict=True)) for row in rows}
