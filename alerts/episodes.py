"""Episodes as lines of the digest: told when they change, counted while they do not. Pure."""

from collections.abc import Iterator, Sequence

from regressions.sentences import counted, moves
from schema.episodes import Episode, EpisodeState
from schema.judgements import Verdict


def told_apart(found: Sequence[Episode], night: str) -> dict[str, list[Episode]]:
    """By what the night did to them: new, confirmed, changed, still open, closed."""
    groups: dict[str, list[Episode]] = {}
    for one in found:
        groups.setdefault(_what_happened(one, night), []).append(one)
    return groups


def _what_happened(episode: Episode, night: str) -> str:
    steps = [step for step in episode.history if step.night == night and not step.is_by_person]
    if not episode.is_open:
        return "closed"
    if any(step.before is None for step in steps):
        return "new"
    if any(step.before is not None and step.state is not step.before for step in steps):
        return "confirmed" if episode.state is not EpisodeState.SUSPECTED else "back"
    return "still open"


def headline_counts(found: Sequence[Episode], night: str) -> Iterator[str]:
    """`1 episode opened`, `2 episodes still open`, `1 episode fixed`."""
    words = {"new": "opened", "back": "back", "confirmed": "confirmed", "still open": "still open"}
    groups = told_apart(found, night)
    counts = {word: len(groups.get(name, [])) for name, word in words.items()}
    for one in groups.get("closed", []):
        counts[one.state] = counts.get(one.state, 0) + 1
    yield from (f"{counted(count, 'episode')} {word}" for word, count in counts.items() if count)


def is_news(episode: Episode, night: str) -> bool:
    """Whether somebody has to look who need not have looked the night before.

    A suspicion is told and alarms nobody: the next night or trials of its own decide.
    """
    certain = episode.is_open and episode.state is not EpisodeState.SUSPECTED
    changed = _what_happened(episode, night) in ("new", "back", "confirmed")
    return certain and changed and episode.verdict is Verdict.REGRESSION


def line(episode: Episode) -> str:
    """`confirmed, build: itl_p50 +9.1 % and 3 more in 2 cells; owner kim, due 2026-12-01`."""
    cells = counted(len(episode.cells), "cell")
    text = f"{episode.state}, {episode.cause.attribution}: {moves(episode.members)} in {cells}"
    if episode.is_open:
        text += f", since {episode.opened}; owner {episode.owner or 'nobody'}"
        text += f", due {episode.due.isoformat()}" if episode.due else ""
    return text if not episode.link else f"{text}; {episode.link}"
