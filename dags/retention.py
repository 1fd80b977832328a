"""Housekeeping: requests give way to sketches of them, a month at a time, and nothing is lost.

Every step is one transaction and leaves a sound database, so that it may be killed anywhere and
begun again: partitions are made ahead, each trial gets its sketch, and a month is dropped in a
transaction that Postgres refuses as long as one of its trials has none.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from schema.latencies import latencies
from schema.packed import BadPacked
from schema.requests import Requests
from schema.session import SchemaError, reading, writing
from schema.store.requests import drop_month, make_month, months, requests
from schema.store.sketches import keep_sketches, trials_without_sketch
from stats.sketch import ACCURACY, restored, sketch

log = logging.getLogger(__name__)

KEEP_DAYS = 90
"""How long requests are kept at least, unless TAILWATCH_KEEP_DAYS says otherwise."""
PROOFS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Percentiles that a sketch must give like the requests before it is kept, as shares."""


class SketchesMissing(SchemaError):
    """Some trials could not be sketched; their requests stay."""


@dataclass(frozen=True, kw_only=True)
class Housework:
    """What housekeeping did, or would do."""

    sketched: int
    """Trials that got their sketch."""
    dropped: tuple[date, ...]
    """Months whose requests are gone now."""


def keep_days() -> int:
    """TAILWATCH_KEEP_DAYS; raises ValueError with the name of the setting."""
    given = os.environ.get("TAILWATCH_KEEP_DAYS", str(KEEP_DAYS))
    if not given.isdecimal():
        raise ValueError(f"TAILWATCH_KEEP_DAYS is {given!r}: write a number of days such as 90")
    return int(given)


def keep_house(days: int, *, url: str | None = None, dry_run: bool = False) -> Housework:
    """Make partitions ahead, sketch every trial, drop months that ended more than `days` ago.

    Raises SketchesMissing after everything else was done; it names every trial and its reason.
    """
    today = datetime.now(UTC).date()
    with reading(url) as session:
        waiting, kept = trials_without_sketch(session), months(session)
    due = tuple(month for month in kept if _after(month) + timedelta(days=days) <= today)
    if dry_run:
        return Housework(sketched=len(waiting), dropped=due)
    with writing(url) as session:
        for month in (today, _after(today)):
            make_month(session, month)
    missing = _sketch_all(waiting, url)
    gone = [] if missing else [month for month in due if _drop(month, url)]
    if missing:
        raise SketchesMissing(
            f"{len(missing)} of {len(waiting)} trials could not be sketched, so their requests "
            "and those of every month stay:\n" + "\n".join(missing)
        )
    return Housework(sketched=len(waiting), dropped=tuple(gone))


def sketches_of(own: Requests) -> dict[str, dict[int, int]]:
    """Counts by bin of each latency; raises ValueError when they do not tell what they should."""
    seen: Mapping[str, Sequence[float]] = asdict(latencies(own))
    made = {name: sketch(values) for name, values in seen.items()}
    for name, values in seen.items():
        if values:
            _require_faithful(name, values, made[name])
    return made


def _require_faithful(name: str, values: Sequence[float], bins: Mapping[int, int]) -> None:
    truth, told = np.quantile(values, PROOFS), np.quantile(restored(bins), PROOFS)
    spans_zero = np.max(np.abs(values)) if min(values) < 0 else 0.0
    wrong = np.abs(told - truth) > ACCURACY * np.maximum(np.abs(truth), spans_zero)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"{name} at {PROOFS[at]:.1%} is {truth[at]:g} s, its sketch says {told[at]:g} s"
        )


def _sketch_all(trials: Sequence[str], url: str | None) -> list[str]:
    """Each in its own transaction; returns those that could not be, with the reason."""
    missing = []
    for at, key in enumerate(trials, start=1):
        try:
            with writing(url) as session:
                keep_sketches(session, key, sketches_of(requests(session, key)))
        except (BadPacked, ValueError) as error:
            missing.append(f"  trial {key}: {error}")
        if at % 100 == 0 or at == len(trials):
            log.info("%d of %d trials sketched", at - len(missing), len(trials))
    return missing


def _drop(month: date, url: str | None) -> bool:
    with writing(url) as session:
        gone = drop_month(session, month)
    if gone:
        log.info("requests of %s are dropped, their sketches stay", f"{month:%Y-%m}")
    return gone


def _after(day: date) -> date:
    """The first day of the next month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
