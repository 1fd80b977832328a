"""What a night says about an episode that is known already: still there, back, or nothing. Pure.

Nothing follows from data that is absent: what could not be judged is neither still there nor back.
"""

from collections.abc import Iterable, Mapping, Sequence

from regressions.attribution import Witness
from regressions.family import is_settled, is_testable
from regressions.policy import Policy
from regressions.sentences import counted
from regressions.tonight import Place, Tonight, place, summary
from regressions.witnesses import says
from schema.episodes import (
    BLAMELESS,
    Attribution,
    Cause,
    Episode,
    EpisodeState,
    Member,
    Transition,
)
from schema.judgements import Judgement, Verdict
from schema.nights import NightKind

SEEN = 0.5
"""The share of an episode's members that must be seen back, to speak of all of them."""


def follow(episode: Episode, tonight: Tonight, policy: Policy) -> Episode:
    """The episode after what the night says about its members."""
    if not episode.is_open or not tonight.concerns(episode):
        return episode
    own = tonight.moved_by(episode)
    judged = {place(one): one for one in tonight.judgements if place(one) in own}
    if again := still(own, judged.values()):
        return _refined(_confirmed_by_night(episode, again, tonight), tonight)
    if not is_back(own, judged, policy):
        return episode
    if tonight.kind is NightKind.RELEASE:
        return _after_release(episode, tonight)
    if episode.state is EpisodeState.SUSPECTED:
        why = f"one night only: {tonight.night} is at the last good level"
        return step(episode, tonight, EpisodeState.TRANSIENT, why)
    if _has_left(own, tonight.since):
        cells = counted(len({cell for cell, _ in own}), "cell")
        why = f"back at the last good level and away from the bad one, in {cells}"
        return step(episode, tonight, EpisodeState.FIXED, why)
    return episode


def step(
    episode: Episode,
    tonight: Tonight,
    state: EpisodeState,
    reason: str,
    cause: Cause | None = None,
) -> Episode:
    """The episode with one more step of tailwatch's own in its history."""
    taken = Transition(
        night=tonight.night, before=episode.state, state=state, reason=reason, cause=cause
    )
    return episode.model_copy(update={"history": (*episode.history, taken)})


def state_when_confirmed(cause: Cause, verdict: Verdict) -> EpisodeState:
    """An improvement asks for nobody: its level is the baseline from there on."""
    if verdict is Verdict.IMPROVEMENT:
        return EpisodeState.EXPECTED
    if cause.attribution in BLAMELESS:
        return EpisodeState.INFRASTRUCTURE
    return EpisodeState.CONFIRMED


def still(own: Mapping[Place, Member], judged: Iterable[Judgement]) -> list[Judgement]:
    """What moved again, the way it did."""
    return [one for one in judged if one.verdict is own[place(one)].verdict]


def is_back(own: Mapping[Place, Member], judged: Mapping[Place, Judgement], policy: Policy) -> bool:
    """Whether most of it was measured where the change is not.

    The verdict alone does not say that: the interval has to leave the change out, whatever else it
    leaves room for.
    """
    back = [
        at
        for at, one in judged.items()
        if is_testable(one.comparison, policy) or is_settled(one.comparison, policy)
        if says(own[at].change, one.comparison, policy.alpha) is Witness.STEADY
    ]
    return len(back) >= SEEN * len(own)


def _has_left(own: Mapping[Place, Member], since: Sequence[Judgement]) -> bool:
    """Whether most cells are better than their own bad level, by the rule that found it."""
    seen = [one for one in since if place(one) in own]
    cells = {one.comparison.cell for one in seen}
    better = {one.comparison.cell for one in seen if one.verdict is Verdict.IMPROVEMENT}
    return bool(better) and len(better) >= SEEN * len(cells)


def _confirmed_by_night(episode: Episode, again: Sequence[Judgement], tonight: Tonight) -> Episode:
    if episode.state is not EpisodeState.SUSPECTED:
        return episode
    return confirmed(episode, tonight, f"still there in {tonight.night}: {summary(again)}")


def confirmed(episode: Episode, tonight: Tonight, why: str, cause: Cause | None = None) -> Episode:
    """The episode once it was seen again; `cause` where that tells another one."""
    state = state_when_confirmed(cause or episode.cause, episode.verdict)
    if state is EpisodeState.EXPECTED:
        why += "; an improvement is the new baseline"
    return step(episode, tonight, state, why, cause)


def _after_release(episode: Episode, tonight: Tonight) -> Episode:
    """The same pair again, or a later build against the same last good one."""
    contenders = {text.replace("==", " ") for text in tonight.plan.contenders}
    if episode.cause.builds[1] in contenders:
        why = f"the same two builds again in {tonight.night}: nothing moved"
        return step(episode, tonight, EpisodeState.NOT_REPRODUCED, why)
    why = f"{', '.join(sorted(contenders))} is at the level of {episode.cause.builds[0]}"
    return step(episode, tonight, EpisodeState.FIXED, why)


def _refined(episode: Episode, tonight: Tonight) -> Episode:
    """Named as soon as a witness speaks; a cause once named stays."""
    known = episode.cause
    if known.attribution is not Attribution.UNKNOWN:
        return episode
    own = tonight.moved_by(episode)
    for moved in tonight.causes:
        named = moved.cause.attribution is not Attribution.UNKNOWN
        if named and any(place(one) in own for one in moved.judgements):
            cause = moved.cause.model_copy(update={"builds": known.builds, "nights": known.nights})
            is_confirmed = episode.state is EpisodeState.CONFIRMED
            state = state_when_confirmed(cause, episode.verdict) if is_confirmed else episode.state
            return step(episode, tonight, state, f"attributed to {cause.words}", cause)
    return episode
