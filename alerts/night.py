"""A night's digest from the database."""

import os
from collections.abc import Sequence

from sqlalchemy.orm import Session

from alerts.digest import Digest, Links, digest
from alerts.findings import Findings, findings
from schema.judgements import Judgement
from schema.nights import Night, NightKind
from schema.store.annotations import annotations
from schema.store.episodes import episodes
from schema.store.judgements import judgements
from schema.store.nights import night, nights
from schema.store.trials import trials_of_night

REMEMBERED_NIGHTS = 60
"""How many nights are looked through for the one before of the same matrix."""


def read_digest(session: Session, night_name: str) -> Digest:
    """What there is to tell; links lead to TAILWATCH_DASHBOARD_URL.

    Raises schema.store.nights.UnknownNight.
    """
    links = Links(dashboard=os.environ.get("TAILWATCH_DASHBOARD_URL"))
    return digest(read_findings(session, night_name), links)


def read_findings(session: Session, night_name: str) -> Findings:
    """The night's findings; a night that was not judged has no verdicts in them."""
    plan = night(session, night_name)
    return findings(
        plan,
        judgements(session, night_name),
        trials_of_night(session, night_name),
        annotations(session),
        _judged_before(session, plan),
        [kept for one in episodes(session) if (kept := one.as_of(night_name)) is not None],
    )


def _judged_before(session: Session, plan: Night) -> Sequence[Judgement]:
    """Of the nightly before; a release has its own baseline and recovers from nothing."""
    if plan.kind is not NightKind.NIGHTLY:
        return ()
    earlier = (
        one.name
        for one in nights(session, limit=REMEMBERED_NIGHTS)
        if one.kind is plan.kind
        and one.matrix == plan.matrix
        and (one.date, one.name) < (plan.date, plan.name)
        and any(one.verdicts.values())
    )
    before = next(earlier, None)
    return () if before is None else judgements(session, before)
