"""Episodes from the database and back: a night is gone through, and every later one again.

A night may be judged again, or late. Everything since is then taken back, and the nights are gone
through in their order, each with its judgements and with what people said after it. So the episodes
depend on what was measured and said, never on the order of judging.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from regressions.causes import MOVED, Moved, causes
from regressions.episodes import after_night
from regressions.people import apply
from regressions.policy import Policy
from regressions.reading import read_confirmed, read_evidence, read_since
from regressions.tonight import Tonight
from schema.episodes import Episode, EpisodeState, Transition
from schema.judgements import Judgement
from schema.store.episodes import episodes, judged_nights, record_episodes, take_turns
from schema.store.judgements import judgements
from schema.store.nights import night


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """What is left of the episodes before a night, and what is to be gone through again."""

    before: tuple[Episode, ...]
    opened_since: tuple[Episode, ...]
    said: tuple[tuple[str, Transition], ...]
    """By people, with the key of the episode, in the order in which it was said."""
    every: tuple[Episode, ...]
    """As they were."""

    def was_so(self, current: Sequence[Episode], night_name: str) -> bool:
        """Whether these episodes are those that were known before a night."""
        known = (one.before(night_name) for one in self.every)
        return {one.key: one for one in known if one} == {one.key: one for one in current}


def take_back(every: Sequence[Episode], night_name: str) -> TakenBack:
    """The episodes as they were before a night. Pure."""
    before = [(one, one.before(night_name)) for one in every]
    said = [
        (one.key, step)
        for one in every
        for step in one.history
        if step.is_by_person and step.night >= night_name
    ]
    return TakenBack(
        before=tuple(kept for _, kept in before if kept is not None),
        opened_since=tuple(one for one, kept in before if kept is None),
        said=tuple(sorted(said, key=lambda own: (own[1].night, str(own[1].at)))),
        every=tuple(every),
    )


def take_back_stored(session: Session, night_name: str) -> TakenBack:
    """The same for the stored episodes, so that the night's baseline sees them so."""
    take_turns(session)
    every = episodes(session)
    taken = take_back(every, night_name)
    if list(taken.before) != every:
        record_episodes(session, taken.before)
    return taken


def go_through(
    session: Session,
    taken: TakenBack,
    night_name: str,
    policy: Policy,
    judge: Callable[[str], Sequence[Judgement]],
) -> list[Judgement]:
    """Judge the night and bring its episodes up to date, and those of every later judged night.

    A later night is judged again only where the episodes before it are no longer those that it was
    judged with: its baseline is another one then. Returns the judgements of the night.
    """
    current, lost = list(taken.before), list(taken.opened_since)
    own = judge(night_name)
    for name in [night_name, *judged_nights(session, after=night_name)]:
        if name == night_name:
            found = own
        else:
            same = taken.was_so(current, name)
            found = judgements(session, name) if same else judge(name)
        tonight = read_tonight(session, name, found, current, policy)
        current = after_night(current, tonight, policy, remembered=lost)
        known = {one.key for one in current}
        lost = [one for one in lost if one.key not in known]
        current = _with_what_was_said(current, taken, name)
        record_episodes(session, current)
    if kept := list(_not_found_again(lost, night_name)):
        record_episodes(session, [*current, *kept])
    return list(own)


def read_tonight(
    session: Session,
    name: str,
    found: Sequence[Judgement],
    current: Sequence[Episode],
    policy: Policy,
) -> Tonight:
    """What a night showed; of a night on which nothing moved, little has to be read."""
    plan = night(session, name)
    moved: list[Moved] = []
    if any(one.verdict in MOVED for one in found):
        moved = causes(read_evidence(session, plan, policy), found, policy)
    since, further = read_since(session, plan, current, policy)
    return Tonight(
        plan=plan,
        judgements=found,
        causes=moved,
        since=since,
        further=further,
        confirmed=read_confirmed(session, plan, policy),
    )


def _with_what_was_said(current: Sequence[Episode], taken: TakenBack, name: str) -> list[Episode]:
    by_key = {one.key: one for one in current}
    for key, step in taken.said:
        if step.night == name and key in by_key:
            by_key[key] = apply(by_key[key], step)
    return list(by_key.values())


def _not_found_again(lost: Iterable[Episode], night_name: str) -> Iterator[Episode]:
    """What people have spoken about stays, even where the nights no longer show it."""
    for one in lost:
        said = [step for step in one.history if step.is_by_person]
        if said:
            closing = Transition(
                night=max(night_name, said[-1].night),
                before=said[-1].state,
                state=EpisodeState.NOT_REPRODUCED,
                reason=f"{night_name} was judged again and does not show it",
            )
            history = (one.history[0], *said, closing)
            yield one.model_copy(update={"history": history})
