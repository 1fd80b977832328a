"""Episodes as tables and words. Pure: words in, HTML out."""

from collections.abc import Container, Iterable, Mapping, Sequence

from dashboard.markup import Column, Field, address, table
from dashboard.units import NONE, percent, probability
from regressions.sentences import counted, moves
from schema.episodes import Episode, EpisodeState, Member, Transition
from schema.judgements import Judgement, Verdict
from schema.nights import Night

NO_BREAK = "\N{NO-BREAK SPACE}"
MEANING = {
    EpisodeState.SUSPECTED: "seen in one night; the next decides",
    EpisodeState.CONFIRMED: "seen again; somebody has to look",
    EpisodeState.ACKNOWLEDGED: "somebody knows about it",
    EpisodeState.INFRASTRUCTURE: "the host, its driver or the client did it",
    EpisodeState.EXPECTED: "accepted: the new level is the baseline",
    EpisodeState.FIXED: "back at the last good level",
    EpisodeState.NOT_REPRODUCED: "measured again, and it was not there",
    EpisodeState.TRANSIENT: "one night only",
}
_EPISODES = (
    Column(title="Cause", hint="Opens the episode"),
    Column(title="State"),
    Column(title="Blamed", hint="By the witnesses: control arm, other engine, fingerprint"),
    Column(title="Moved"),
    Column(title="Owner", short=True),
    Column(title="Due", short=True),
    Column(title="Since", short=True, hint="The night in which it was first seen"),
)
_MEMBERS = (
    Column(title="Cell"),
    Column(title="Metric", hint="Opens the series"),
    Column(title="Change", figures=True, hint="From the last good level, when it was first seen"),
    Column(title="p, exact", figures=True),
    Column(title="First seen", hint="Opens the comparison"),
    Column(title="Nights", hint="Medians of the latest nights, low to high"),
)
_HISTORY = (
    Column(title="Night"),
    Column(title="Who", short=True),
    Column(title="What", short=True),
    Column(title="Why"),
)


def episode_table(found: Iterable[Episode], *, name: str, untold: Container[str] = ()) -> str:
    """A row an episode; its cause links to it. `untold` has keys that the night says nothing of."""
    return table(_EPISODES, [_episode(one, one.key in untold) for one in found], name=name)


def member_table(
    members: Sequence[Member], names: Mapping[str, str], sparks: Mapping[tuple[str, str], str]
) -> str:
    """A row a member; `sparks` has the nights of each cell and metric."""
    return table(_MEMBERS, [_member(one, names, sparks) for one in members], name="members")


def history_table(history: Sequence[Transition]) -> str:
    """A row a step, the latest first."""
    return table(_HISTORY, [_step(one) for one in reversed(history)], name="history")


def of_night(found: Iterable[Episode], night: Night) -> tuple[list[Episode], list[Episode]]:
    """Those about a night, open after it or closed by it, and open ones about other cells.

    As they were then, newest first.
    """
    then = [kept for one in found if (kept := one.as_of(night.name)) is not None]
    then.reverse()
    own = [one for one in then if one.is_about(night)]
    concerned = [one for one in own if one.is_open or one.closed == night.name]
    return concerned, [one for one in then if one.is_open and one not in own]


def untold(found: Iterable[Episode], judgements: Iterable[Judgement]) -> frozenset[str]:
    """Keys of open ones of which the night decided no series: no trial was valid, or too few."""
    decided = {
        (one.comparison.cell, one.comparison.metric)
        for one in judgements
        if one.verdict is not Verdict.INCONCLUSIVE
    }
    return frozenset(
        own.key
        for own in found
        if own.is_open and not any((one.cell, one.metric) in decided for one in own.members)
    )


def from_before(found: Iterable[Episode], night: str) -> list[Episode]:
    """Open ones that began before a night, those first that it confirmed."""
    older = [one for one in found if one.is_open and one.spells[-1].begun < night]
    return sorted(older, key=lambda one: one.changed, reverse=True)


def facts(episode: Episode) -> dict[str, str]:
    """What stands beside an episode's members."""
    good, bad = episode.cause.nights
    return {
        "Blamed": f"{episode.cause.attribution}: {episode.cause.subject}",
        "Last good": f"{episode.cause.builds[0]}, night {good}",
        "First bad": f"{episode.cause.builds[1]}, night {bad}",
        "Owner": episode.owner or "nobody",
        "Due": NONE if episode.due is None else episode.due.isoformat(),
        "Followed at": episode.link or NONE,
        "Key": episode.key,
    }


def _episode(own: Episode, is_untold: bool) -> Sequence[Field]:
    cells = counted(len(own.cells), "cell")
    meaning = MEANING[own.state] + ("; tonight decides nothing about it" if is_untold else "")
    return (
        Field(text=own.cause.words, link=address("episodes", episode=own.key), tone=own.verdict),
        Field(text=own.state, below=meaning),
        Field(text=own.cause.attribution, below=own.cause.reasons[0]),
        Field(
            text=_unbroken(moves(own.members)),
            below=f"{counted(len(own.members), 'metric')} in {cells}",
        ),
        Field(text=own.owner or "nobody"),
        Field(text=NONE if own.due is None else own.due.isoformat()),
        Field(text=own.opened[:10], below=f"closed {own.closed[:10]}" if own.closed else ""),
    )


def _unbroken(text: str) -> str:
    """A name and its figure stay on one line."""
    return ", ".join(part.replace(" ", NO_BREAK) for part in text.split(", "))


def _member(
    own: Member, names: Mapping[str, str], sparks: Mapping[tuple[str, str], str]
) -> Sequence[Field]:
    chosen = {"cell": own.cell, "metric": own.metric}
    return (
        Field(text=names.get(own.cell, own.cell), tone=own.verdict),
        Field(text=own.metric, link=address("series", **chosen), code=True),
        Field(text=percent(own.change)),
        Field(text=probability(own.p)),
        Field(text=own.night, link=address("compare", night=own.night, **chosen)),
        Field(text=sparks.get((own.cell, own.metric), "")),
    )


def _step(own: Transition) -> Sequence[Field]:
    changes = [
        own.state.value if own.state is not own.before else "",
        f"owner {own.owner}" if own.owner else "",
        f"due {own.due.isoformat()}" if own.due else "",
    ]
    at = "" if own.at is None else f"{own.at:%Y-%m-%d %H:%M} UTC"
    return (
        Field(text=own.night),
        Field(text=own.by, below=at),
        Field(text=", ".join(text for text in changes if text) or "remark"),
        Field(text=own.reason, below=own.link or ""),
    )
