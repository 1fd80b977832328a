"""What people say about an episode, and when they may say it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from schema.episodes import OPEN, TAILWATCH, Episode, EpisodeState, Transition
from schema.store.episodes import episode, episodes, judged_nights, record_episodes, take_turns

CLOSING = (EpisodeState.FIXED, EpisodeState.NOT_REPRODUCED, EpisodeState.TRANSIENT)
CLOSED = frozenset(EpisodeState) - OPEN
MAY: Mapping[EpisodeState, frozenset[EpisodeState]] = {
    EpisodeState.ACKNOWLEDGED: OPEN - {EpisodeState.ACKNOWLEDGED},
    EpisodeState.INFRASTRUCTURE: OPEN - {EpisodeState.INFRASTRUCTURE},
    EpisodeState.EXPECTED: OPEN,
    **dict.fromkeys(CLOSING, OPEN),
    EpisodeState.CONFIRMED: CLOSED | {EpisodeState.SUSPECTED},
}
"""From which states a person may take an episode into one."""


class Refused(Exception):
    """What was said about an episode cannot be kept; the message has every reason."""


def say(
    session: Session,
    key: str,
    *,
    by: str,
    reason: str,
    state: EpisodeState | None = None,
    owner: str | None = None,
    due: date | None = None,
    link: str | None = None,
) -> Episode:
    """Keep what a person says about the episode whose key begins with `key`.

    Raises Refused, and schema.store.episodes.UnknownEpisode. The caller owns the transaction.
    """
    take_turns(session)
    found = episode(session, key)
    mistakes = [
        *_mistakes(by, reason, link, asked=(state, owner, due, link) != (None,) * 4),
        *_forbidden(found, state),
    ]
    if mistakes:
        raise Refused("\n".join(mistakes))
    said = Transition(
        night=max([found.changed, *judged_nights(session)]),
        by=by.strip(),
        at=datetime.now(UTC),
        before=found.state,
        state=state or found.state,
        reason=reason.strip(),
        owner=owner,
        due=due,
        link=link,
    )
    changed = apply(found, said)
    others = [one for one in episodes(session) if one.key != found.key]
    record_episodes(session, [*others, changed])
    return changed


def apply(episode: Episode, said: Transition) -> Episode:
    """The episode after a person spoke: at once, and again whenever its nights are gone through."""
    state = episode.state if said.state is said.before else said.state
    taken = said.model_copy(update={"state": state})
    return episode.model_copy(update={"history": (*episode.history, taken)})


def _mistakes(by: str, reason: str, link: str | None, *, asked: bool) -> list[str]:
    mistakes = []
    if by.strip() in ("", TAILWATCH):
        mistakes.append("who says so? give your name")
    if not reason.strip():
        mistakes.append("why? give a reason: whoever reads this in a month has only that")
    if not asked:
        mistakes.append("nothing was said: give a state, an owner, a due date or a link")
    if link is not None and urlsplit(link).scheme not in ("http", "https"):
        mistakes.append(f"{link!r} is no address: give one that begins with https://")
    return mistakes


def _forbidden(found: Episode, state: EpisodeState | None) -> list[str]:
    if state is None or found.state in MAY[state]:
        return []
    if found.state is state:
        return [f"episode {found.key} is {state} already"]
    if found.is_open:
        return [f"episode {found.key} is {found.state}: it need not become {state}"]
    return [
        f"episode {found.key} is {found.state} since {found.closed}: only an open one becomes "
        f"{state}; confirm it first if that was wrong"
    ]
