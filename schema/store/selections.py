"""Selections: which experts were chosen in a trial, kept packed."""

from collections.abc import Collection, Mapping
from itertools import chain

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from schema.kept_tables import SelectionsRow
from schema.packed import pack_integers, unpack_integers
from schema.selections import Selections
from schema.trials import Launch


def keep_selections(session: Session, launch: Launch) -> None:
    """Those of all of its trials that have any."""
    rows = [
        {
            "trial": launch.trial_key(trial),
            "requests": trial.selections.requests,
            "tokens": trial.selections.tokens,
            "packed": _packed(trial.selections),
        }
        for trial in launch.trials
        if trial.selections is not None
    ]
    if rows:
        session.execute(insert(SelectionsRow), rows)


def selections(session: Session, trials: Collection[str]) -> Mapping[str, Selections]:
    """By key of the trial, of those that have any."""
    rows = session.scalars(select(SelectionsRow).where(SelectionsRow.trial.in_(trials)))
    return {row.trial: _unpacked(row) for row in rows}


def _packed(own: Selections) -> bytes:
    return pack_integers({"counts": list(chain.from_iterable(own.counts))}, own.experts)


def _unpacked(row: SelectionsRow) -> Selections:
    columns, experts = unpack_integers(row.packed)
    every = columns["counts"]
    counts = tuple(tuple(every[at : at + experts]) for at in range(0, len(every), experts))
    return Selections(requests=row.requests, tokens=row.tokens, counts=counts)
