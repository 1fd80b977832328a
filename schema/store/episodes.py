"""Episodes: causes with their history, and the levels that they leave behind."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from schema.episode_tables import (
    EpisodeMemberRow,
    EpisodeRow,
    EpisodeSpellRow,
    EpisodeTransitionRow,
)
from schema.episodes import OPEN, TAILWATCH, Episode, EpisodeState, Member, Transition
from schema.judgements import Verdict
from schema.nights import NightKind
from schema.session import SchemaError
from schema.tables import ComparisonRow, NightRow, VerdictRow

LEFT_BEHIND = (*OPEN, EpisodeState.FIXED, EpisodeState.TRANSIENT)
"""States whose nights are no baseline. `Expected` is one, and `not reproduced` was noise."""


class UnknownEpisode(SchemaError):
    """The database holds no episode with this key, or several that begin like it."""


def take_turns(session: Session) -> None:
    """Until the transaction ends nobody else changes episodes; readers go on."""
    session.execute(text("LOCK TABLE episodes IN SHARE ROW EXCLUSIVE MODE"))


def episodes(session: Session, *, everything: bool = True) -> list[Episode]:
    """By the night in which they were opened; open ones only unless `everything`."""
    statement = select(EpisodeRow.key).order_by(EpisodeRow.opened.collate("C"), EpisodeRow.key)
    if not everything:
        statement = statement.where(EpisodeRow.state.in_(OPEN))
    return _read(session, list(session.scalars(statement)))


def episode(session: Session, key: str) -> Episode:
    """The one whose key begins so; raises UnknownEpisode."""
    begins = EpisodeRow.key.startswith(key, autoescape=True)
    found = list(session.scalars(select(EpisodeRow.key).where(begins).order_by(EpisodeRow.key)))
    if len(found) != 1 or not key:
        several = f"begins {len(found)} of them: {', '.join(found[:5])}"
        why = several if found and key else "is none of them"
        raise UnknownEpisode(f"{key!r} {why}; `tailwatch episodes --all` lists their keys")
    return _read(session, found)[0]


def record_episodes(session: Session, kept: Sequence[Episode]) -> None:
    """Make the stored episodes these: what is equal stays untouched, what is not among them goes.

    Call take_turns before reading what they were made from.
    """
    stored = {one.key: one for one in episodes(session)}
    same = {one.key for one in kept if stored.get(one.key) == one}
    stale = [key for key in stored if key not in same]
    if stale:
        session.execute(delete(EpisodeRow).where(EpisodeRow.key.in_(stale)))
    for one in kept:
        if one.key not in same:
            _insert(session, one)


def levels_left(
    cell: InstrumentedAttribute[str], night: InstrumentedAttribute[str]
) -> ColumnElement[bool]:
    """Whether a night of a cell lies at a level that an episode says is not its own."""
    member, spell, name = EpisodeMemberRow, EpisodeSpellRow, night.collate("C")
    ended = spell.ended.collate("C")
    return exists(
        select(member.cell)
        .join(spell, spell.episode == member.episode)
        .where(member.cell == cell, member.kind == NightKind.NIGHTLY)
        .where(spell.state.in_(LEFT_BEHIND))
        .where(name >= spell.begun.collate("C"), name >= member.night.collate("C"))
        .where(or_(ended.is_(None), name < ended, and_(name == ended, _closed_by_a_person())))
    )


def _closed_by_a_person() -> ColumnElement[bool]:
    """Whether the night that ended a spell is the last that a person had seen, and no better one.

    Tailwatch closes an episode in the night that is back at the good level.
    """
    spell, step = EpisodeSpellRow, EpisodeTransitionRow
    return exists(
        select(step.episode)
        .where(step.episode == spell.episode, step.night == spell.ended)
        .where(step.by != TAILWATCH, step.before.in_(OPEN), step.state == spell.state)
        .correlate(spell)
    )


def accepted_levels(session: Session, cells: Sequence[str]) -> dict[str, list[str]]:
    """Of each cell the nights from which an expected level holds, oldest first."""
    member, spell = EpisodeMemberRow, EpisodeSpellRow
    first = func.min(member.night.collate("C"))
    begun = func.greatest(first, spell.begun.collate("C")).label("begun")
    statement = (
        select(member.cell, begun)
        .join(spell, spell.episode == member.episode)
        .where(spell.state == EpisodeState.EXPECTED)
        .where(member.kind == NightKind.NIGHTLY, member.cell.in_(cells))
        .group_by(spell.episode, spell.begun, member.cell)
        .order_by(begun)
    )
    levels: dict[str, list[str]] = {}
    for cell, night in session.execute(statement):
        levels.setdefault(cell, []).append(night)
    return levels


def last_moved(session: Session, cells: Sequence[str], before_night: str) -> dict[str, str]:
    """Of each cell the last nightly before a night whose judgement found something moved."""
    name = ComparisonRow.night.collate("C")
    statement = (
        select(ComparisonRow.cell, func.max(name))
        .join(VerdictRow, VerdictRow.comparison == ComparisonRow.key)
        .join(NightRow, NightRow.name == ComparisonRow.night)
        .where(ComparisonRow.cell.in_(cells), NightRow.kind == NightKind.NIGHTLY)
        .where(VerdictRow.verdict == Verdict.REGRESSION, name < before_night)
        .group_by(ComparisonRow.cell)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def judged_nights(session: Session, *, after: str = "") -> list[str]:
    """Nights whose name is later and that have judgements, in their order."""
    name = ComparisonRow.night.collate("C")
    return list(session.scalars(select(name).where(name > after).distinct().order_by(name)))


def _read(session: Session, keys: Sequence[str]) -> list[Episode]:
    """In the order of the keys."""
    if not keys:
        return []
    members: dict[str, list[Member]] = {key: [] for key in keys}
    order = (EpisodeMemberRow.night.collate("C"), EpisodeMemberRow.cell, EpisodeMemberRow.metric)
    wanted = select(EpisodeMemberRow).where(EpisodeMemberRow.episode.in_(keys)).order_by(*order)
    for member in session.scalars(wanted):
        members[member.episode].append(Member(**_fields(member, Member)))
    history: dict[str, list[Transition]] = {key: [] for key in keys}
    row = EpisodeTransitionRow
    steps = select(row).where(row.episode.in_(keys)).order_by(row.position)
    for step in session.scalars(steps):
        history[step.episode].append(Transition(**_fields(step, Transition)))
    return [Episode(key=key, members=members[key], history=history[key]) for key in keys]


def _fields(row: Any, word: type[Member] | type[Transition]) -> dict[str, Any]:
    return {field: getattr(row, field) for field in word.model_fields}


def _insert(session: Session, one: Episode) -> None:
    columns = ("key", "state", "verdict", "opened", "changed", "closed")
    session.execute(insert(EpisodeRow).values({name: getattr(one, name) for name in columns}))
    session.execute(
        insert(EpisodeMemberRow), [{"episode": one.key, **dict(member)} for member in one.members]
    )
    session.execute(insert(EpisodeTransitionRow), list(_steps(one)))
    spells = [
        {"episode": one.key, "position": position, **dict(own)}
        for position, own in enumerate(one.spells)
    ]
    session.execute(insert(EpisodeSpellRow), spells)


def _steps(one: Episode) -> Iterable[dict[str, Any]]:
    for position, step in enumerate(one.history):
        cause = step.cause and step.cause.model_dump(mode="json")
        yield {"episode": one.key, "position": position, **dict(step), "cause": cause}
