"""Episodes: one cause over all the metrics and cells that it moves, and what became of it."""

from collections.abc import Callable
from datetime import date
from enum import StrEnum

from pydantic import AwareDatetime, Field

from schema.judgements import Verdict
from schema.nights import Night, NightKind
from schema.words import Word, digest

TAILWATCH = "tailwatch"
"""Who speaks when it is not a person."""


class EpisodeState(StrEnum):
    """What is known about an episode, and whether somebody has to act."""

    SUSPECTED = "suspected"  # seen in one night
    CONFIRMED = "confirmed"  # seen again: in a further night, or in interleaved trials
    ACKNOWLEDGED = "acknowledged"  # a person knows about it
    INFRASTRUCTURE = "infrastructure"  # seen again, and the host, driver or client did it
    EXPECTED = "expected"  # accepted: the new level is the baseline
    FIXED = "fixed"  # back at the last good level, verified
    NOT_REPRODUCED = "not reproduced"  # trials made to confirm it did not show it
    TRANSIENT = "transient"  # one night only; the next was at the last good level


OPEN = frozenset(
    {
        EpisodeState.SUSPECTED,
        EpisodeState.CONFIRMED,
        EpisodeState.ACKNOWLEDGED,
        EpisodeState.INFRASTRUCTURE,
    }
)


class Attribution(StrEnum):
    """What is to blame."""

    BUILD = "build"
    HOST = "host"
    DRIVER = "driver"
    CLIENT = "client"
    WORKLOAD = "workload"
    UNKNOWN = "unknown"


BLAMELESS = frozenset({Attribution.HOST, Attribution.DRIVER, Attribution.CLIENT})
"""The engine's people have nothing to do: somebody else has."""


class Cause(Word):
    """What moved the numbers, as far as the witnesses tell."""

    attribution: Attribution
    subject: str
    """Engine, host, workload, or what changed in the driver or client: `570.86 → 575.57`."""
    reasons: tuple[str, ...] = Field(min_length=1)
    """What each witness said."""
    builds: tuple[str, str]
    """Last good and first bad."""
    nights: tuple[str, str]
    """Last good and first bad; the same one twice where both ran in one night."""

    @property
    def words(self) -> str:
        """`vllm 0.31.0 → 0.32.0`, `host bench-01`, `unknown: vllm on h100`."""
        if self.attribution is Attribution.BUILD:
            return self.build_step
        separator = ": " if self.attribution is Attribution.UNKNOWN else " "
        return f"{self.attribution}{separator}{self.subject}"

    @property
    def build_step(self) -> str:
        """`vllm 0.31.0 → 0.32.0`, or `vllm 0.32.0` where it is on both sides."""
        good, bad = self.builds
        engine, _, version = bad.partition(" ")
        if good == bad:
            return bad
        return f"{good} → {version if good.startswith(f'{engine} ') else bad}"


class Member(Word):
    """One metric of one cell that the cause moved, as it was when it was first seen."""

    cell: str
    """Key of the cell."""
    metric: str
    kind: NightKind
    """Of the night that showed it: a release and a nightly may both do."""
    night: str
    change: float
    """Relative to the last good level."""
    p: float | None = None
    """Exact p; None where no test was needed."""
    verdict: Verdict


class Transition(Word):
    """One step in an episode's history. Values that are None stay as they were."""

    night: str
    """The night whose judgement did it; of a person's step, the newest that was judged then."""
    by: str = TAILWATCH
    at: AwareDatetime | None = None
    """When a person spoke; tailwatch's steps are dated by their night alone."""
    before: EpisodeState | None = None
    """None when it was opened."""
    state: EpisodeState
    reason: str = Field(min_length=1)
    cause: Cause | None = None
    owner: str | None = None
    due: date | None = None
    link: str | None = None

    @property
    def is_by_person(self) -> bool:
        return self.by != TAILWATCH


class Spell(Word):
    """Nights during which an episode was open; a step that comes back begins another."""

    begun: str
    ended: str | None
    """The night that closed it; None while it is open."""
    state: EpisodeState
    """In which it ended, or is."""


class Episode(Word):
    """One cause with its history, from which everything else follows."""

    key: str
    members: tuple[Member, ...] = Field(min_length=1)
    history: tuple[Transition, ...] = Field(min_length=1)

    @property
    def state(self) -> EpisodeState:
        return self.history[-1].state

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def cause(self) -> Cause:
        """As last attributed."""
        return next(one.cause for one in reversed(self.history) if one.cause is not None)

    @property
    def verdict(self) -> Verdict:
        """Regression as soon as one member got worse."""
        worse = any(one.verdict is Verdict.REGRESSION for one in self.members)
        return Verdict.REGRESSION if worse else Verdict.IMPROVEMENT

    @property
    def cells(self) -> frozenset[str]:
        """Keys of those in which it moved something."""
        return frozenset(one.cell for one in self.members)

    def is_about(self, night: Night) -> bool:
        """Whether a night was to measure any cell of it; the others say nothing about it."""
        return any(cell.key in self.cells for cell in night.cells)

    @property
    def opened(self) -> str:
        """Night."""
        return self.history[0].night

    @property
    def changed(self) -> str:
        """Night of the last step."""
        return self.history[-1].night

    @property
    def closed(self) -> str | None:
        """Night of the step that closed it; None while it is open."""
        return self.spells[-1].ended

    @property
    def spells(self) -> tuple[Spell, ...]:
        """Oldest first."""
        spells: list[Spell] = []
        for step in self.history:
            ended = None if step.state in OPEN else step.night
            if spells and spells[-1].state in OPEN:
                begun = spells.pop().begun
            elif spells and ended is not None:  # closed already: what closed it holds
                last = spells.pop()
                begun, ended = last.begun, last.ended
            else:
                begun = step.night
            spells.append(Spell(begun=begun, ended=ended, state=step.state))
        return tuple(spells)

    def before(self, night: str) -> "Episode | None":
        """As it was before a night; None when it was opened in it or later."""
        return self._when(lambda own: own < night)

    def as_of(self, night: str) -> "Episode | None":
        """As it was after a night, whatever happened since."""
        return self._when(lambda own: own <= night)

    def _when(self, was: Callable[[str], bool]) -> "Episode | None":
        history = tuple(step for step in self.history if was(step.night))
        members = tuple(one for one in self.members if was(one.night))
        changed = self.model_copy(update={"members": members, "history": history})
        return changed if history else None

    @property
    def owner(self) -> str | None:
        return next((one.owner for one in reversed(self.history) if one.owner), None)

    @property
    def due(self) -> date | None:
        return next((one.due for one in reversed(self.history) if one.due), None)

    @property
    def link(self) -> str | None:
        """Where the work on it is followed: an issue, a pull request."""
        return next((one.link for one in reversed(self.history) if one.link), None)


def episode_key(cause: Cause, night: str) -> str:
    """The key of an episode that is opened in a night."""
    return digest([cause.attribution, cause.subject, cause.builds, night])
