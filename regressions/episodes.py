"""Episodes over a night: opened, joined, confirmed, re-opened, closed. Pure.

The state after a night follows from the state before it and what the night showed. Nothing else is
remembered, so a night that is judged again, or late, is taken back and gone through again
(regressions.chronicle), and ends in the same episodes.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from regressions.causes import Moved
from regressions.confirmation import confirm
from regressions.following import follow, state_when_confirmed, step
from regressions.policy import Policy
from regressions.tonight import Tonight, is_same_cause, place, summary
from schema.episodes import (
    Attribution,
    Episode,
    EpisodeState,
    Transition,
    episode_key,
)
from schema.judgements import Judgement, Verdict
from schema.nights import NightKind
from schema.words import digest

MAY_COME_BACK = frozenset({EpisodeState.FIXED, EpisodeState.NOT_REPRODUCED, EpisodeState.TRANSIENT})
"""An expected level is the baseline: what moves from there is another step."""
SAME_SIZE = (2 / 3, 3 / 2)
"""A step that comes back is so many times as large as it was."""
SAME_PLACES = 0.5
"""The share of metrics in common from which on a step without a culprit is the same."""
BACK_WITHIN = timedelta(days=14)
"""Later it is another step, however alike."""


def after_night(
    episodes: Sequence[Episode],
    tonight: Tonight,
    policy: Policy,
    remembered: Sequence[Episode] = (),
) -> list[Episode]:
    """The episodes after a night, the closed ones among them.

    `remembered` are episodes that an earlier pass through this night opened and that were taken
    back: one that is opened again keeps its key, so that what people said about it still holds.
    """
    ledger = Ledger(episodes, tonight, policy, remembered)
    for moved in tonight.causes:
        ledger.enter(ledger.beyond_open_cells(moved))
    for moved in tonight.further:
        ledger.enter_further(moved)
    return [confirm(one, tonight, policy) for one in ledger.episodes]


class Ledger:
    """Where what moved is entered: an open episode, a closed one that is back, or a new one."""

    def __init__(
        self,
        episodes: Sequence[Episode],
        tonight: Tonight,
        policy: Policy,
        remembered: Sequence[Episode],
    ) -> None:
        self.episodes = [follow(one, tonight, policy) for one in episodes]
        self._tonight = tonight
        self._remembered = list(remembered)
        self._forming = {one.key for one in episodes if one.state is EpisodeState.SUSPECTED}

    def beyond_open_cells(self, moved: Moved) -> Moved:
        """What moved outside the cells of open episodes: inside, it is the same bad level."""
        holders = self._holders()
        rest: list[Judgement] = []
        held: dict[int, list[Judgement]] = {}
        for one in moved.judgements:
            at = holders.get(one.comparison.cell)
            (rest if at is None else held.setdefault(at, [])).append(one)
        for at, own in held.items():
            self._join(at, own)
        return Moved(cause=moved.cause, judgements=tuple(rest))

    def enter(self, moved: Moved) -> None:
        """An open episode of the same cause takes it, or one that is back; or it is a new one."""
        if not moved.judgements:
            return
        if (at := self._newest(lambda own: self._is_cause_of(own, moved))) is not None:
            self._join(at, moved.judgements)
        elif (at := self._newest(lambda own: _is_back(own, moved))) is not None:
            self._reopen(at, moved)
        else:
            self._open(moved)

    def enter_further(self, moved: Moved) -> None:
        """A step on top of an open episode is a cause of its own, unless that is still forming."""
        worse = tuple(one for one in moved.judgements if one.verdict is Verdict.REGRESSION)
        forming = self._newest(
            lambda own: (
                own.is_open and own.cause.subject == moved.cause.subject and self._is_forming(own)
            )
        )
        if worse and forming is None:
            self._open(Moved(cause=moved.cause, judgements=worse))

    def _newest(self, fits: Callable[[Episode], bool]) -> int | None:
        backwards = reversed(range(len(self.episodes)))
        return next((at for at in backwards if fits(self.episodes[at])), None)

    def _holders(self) -> dict[str, int]:
        """The newest open episode of each cell that tonight's judgements are about."""
        return {
            one.cell: at
            for at, episode in enumerate(self.episodes)
            if self._takes(episode) and self._tonight.concerns(episode)
            for one in episode.members
            if one.kind is self._tonight.kind
        }

    def _takes(self, episode: Episode) -> bool:
        """Open, or accepted by this very night, which still is set against the level before."""
        accepted = episode.state is EpisodeState.EXPECTED and episode.closed == self._tonight.night
        return episode.is_open or accepted

    def _is_forming(self, episode: Episode) -> bool:
        """Whether it may still gather members: the next night shows what the first one missed."""
        return episode.key in self._forming or episode.opened == self._tonight.night

    def _is_cause_of(self, episode: Episode, moved: Moved) -> bool:
        same_build = episode.cause.builds[1] == moved.cause.builds[1]
        return (
            episode.is_open
            and is_same_cause(episode.cause, moved.cause)
            and (same_build or self._is_forming(episode))
        )

    def _join(self, at: int, judgements: Sequence[Judgement]) -> None:
        """With what it has not moved so far."""
        episode = self.episodes[at]
        known = self._tonight.moved_by(episode)
        fresh = self._tonight.members(one for one in judgements if place(one) not in known)
        self.episodes[at] = episode.model_copy(update={"members": (*episode.members, *fresh)})

    def _reopen(self, at: int, moved: Moved) -> None:
        self._join(at, moved.judgements)
        why = f"the same step is back: {summary(moved.judgements)}"
        self.episodes[at] = step(self.episodes[at], self._tonight, EpisodeState.SUSPECTED, why)

    def _open(self, moved: Moved) -> None:
        why = f"{summary(moved.judgements)}; {moved.cause.reasons[0]}"
        opening = Transition(
            night=self._tonight.night,
            state=self._first_state(moved),
            reason=why,
            cause=moved.cause,
        )
        members = self._tonight.members(moved.judgements)
        self.episodes.append(Episode(key=self._key(moved), members=members, history=(opening,)))

    def _first_state(self, moved: Moved) -> EpisodeState:
        """A release whose builds ran in turns has confirmed what it found."""
        is_certain = (
            self._tonight.kind is NightKind.RELEASE
            and moved.cause.attribution is not Attribution.UNKNOWN
        )
        if not is_certain:
            return EpisodeState.SUSPECTED
        worse = any(one.verdict is Verdict.REGRESSION for one in moved.judgements)
        verdict = Verdict.REGRESSION if worse else Verdict.IMPROVEMENT
        return state_when_confirmed(moved.cause, verdict)

    def _key(self, moved: Moved) -> str:
        """That of an episode which was taken back and moved the same, else a new one."""
        own = {place(one) for one in moved.judgements}
        shared = {
            one.key: len(own & self._tonight.moved_by(one).keys()) for one in self._remembered
        }
        earlier = max(shared, key=lambda key: shared[key], default="")
        if shared.get(earlier):
            self._remembered = [one for one in self._remembered if one.key != earlier]
            return earlier
        key = episode_key(moved.cause, self._tonight.night)
        taken = {one.key for one in (*self.episodes, *self._remembered)}
        while key in taken:
            key = digest(key)
        return key


def _is_back(episode: Episode, moved: Moved) -> bool:
    """Whether a closed episode moves the same metrics again, by the same cause and about as far."""
    if episode.state not in MAY_COME_BACK or episode.closed is None:
        return False
    now, closed = (date.fromisoformat(text[:10]) for text in (moved.night, episode.closed))
    before = {(one.cell, one.metric): one.change for one in episode.members if one.change}
    shared = [one for one in moved.judgements if place(one) in before]
    times = [(one.comparison.change or 0.0) / before[place(one)] for one in shared]
    sized_alike = [one for one in times if SAME_SIZE[0] <= one <= SAME_SIZE[1]]
    if now - closed > BACK_WITHIN or len(sized_alike) < SAME_PLACES * len(moved.judgements):
        return False
    known, cause = episode.cause, moved.cause
    if Attribution.UNKNOWN in (known.attribution, cause.attribution):
        return len(sized_alike) >= SAME_PLACES * len(before)
    return is_same_cause(known, cause)
