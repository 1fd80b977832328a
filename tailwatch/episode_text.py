"""Episodes as text."""

from collections.abc import Iterator, Mapping, Sequence

from regressions.sentences import counted, percent
from schema.episodes import Episode, Member, Transition
from tailwatch.console import aligned
from tailwatch.verdict_table import ABSENT

HEADINGS = ("key", "state", "attribution", "cause", "members", "since", "owner", "due")
SHOWN_KEY = 8
"""So much of a key tells episodes apart; the command takes the beginning of one."""


def episode_table(found: Sequence[Episode]) -> str:
    """A row an episode, in their order."""
    return "\n".join(aligned([HEADINGS, *map(_row, found)]))


def _row(episode: Episode) -> tuple[str, ...]:
    cells = counted(len(episode.cells), "cell")
    return (
        episode.key[:SHOWN_KEY],
        str(episode.state),
        str(episode.cause.attribution),
        episode.cause.words,
        f"{len(episode.members)} in {cells}",
        episode.opened,
        episode.owner or ABSENT,
        ABSENT if episode.due is None else episode.due.isoformat(),
    )


def episode_text(episode: Episode, slugs: Mapping[str, str]) -> str:
    """All about one; `slugs` gives the slug of a cell by its key."""
    good, bad = episode.cause.nights
    lines = [
        f"{episode.key}  {episode.state}: {episode.cause.words}",
        f"between {episode.cause.builds[0]} ({good}) and {episode.cause.builds[1]} ({bad})",
        *(f"because {reason}" for reason in episode.cause.reasons),
        f"owner {episode.owner or 'nobody'}, due {episode.due or 'at no date'}",
    ]
    if episode.link:
        lines.append(episode.link)
    members = aligned([_member(one, slugs) for one in episode.members])
    return "\n".join([*lines, "", *members, "", *_history(episode.history)])


def _member(own: Member, slugs: Mapping[str, str]) -> tuple[str, ...]:
    p = ABSENT if own.p is None else f"p {own.p:.4f}"
    return own.night, slugs.get(own.cell, own.cell), own.metric, percent(own.change), p


def _history(steps: Sequence[Transition]) -> Iterator[str]:
    for one in steps:
        changes = [
            str(one.state) if one.state is not one.before else "",
            f"owner {one.owner}" if one.owner else "",
            f"due {one.due}" if one.due else "",
            one.link or "",
        ]
        what = ", ".join(text for text in changes if text)
        yield f"{one.night}  {one.by}: {what + ': ' if what else ''}{one.reason}"
