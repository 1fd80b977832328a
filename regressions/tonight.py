"""What a night showed, as far as episodes care. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from regressions.causes import Moved
from regressions.evidence import Evidence
from regressions.sentences import counted, percent
from schema.confirmations import Confirmation
from schema.episodes import Cause, Episode, Member
from schema.judgements import Judgement, Verdict
from schema.nights import Night, NightKind

Place = tuple[str, str]
"""Key of a cell, and a metric."""


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What came of a night's confirmations."""

    planned: Mapping[str, Confirmation] = field(default_factory=dict)
    """By the key of the episode."""
    in_turns: Sequence[Judgement] = ()
    """Of tonight's build against the last good one, measured in turns."""
    levels: Sequence[Judgement] = ()
    """Of that last good build tonight against the nights before: has the host changed?"""
    evidence: Evidence | None = None
    """Of `levels`."""


@dataclass(frozen=True, kw_only=True)
class Tonight:
    """The judgements of a night and the causes of what moved."""

    plan: Night
    judgements: Sequence[Judgement]
    """Against the last good level."""
    causes: Sequence[Moved] = ()
    """Of what moved among `judgements`."""
    since: Sequence[Judgement] = ()
    """Against the bad level, for cells of open episodes."""
    further: Sequence[Moved] = ()
    """Causes of what moved among `since`."""
    confirmed: Confirmed = Confirmed()

    @property
    def night(self) -> str:
        return self.plan.name

    @property
    def kind(self) -> NightKind:
        return self.plan.kind

    def concerns(self, episode: Episode) -> bool:
        """Whether its judgements are against the last good level of an episode.

        A nightly says something about what a nightly has shown. A release says something only when
        its baseline is the episode's last good build.
        """
        if not any(one.kind is self.kind for one in episode.members):
            return False
        if self.kind is NightKind.NIGHTLY:
            return True
        return episode.cause.builds[0] in {text.replace("==", " ") for text in self.plan.baselines}

    def moved_by(self, episode: Episode) -> dict[Place, Member]:
        """The episode's members that a night of this kind has shown."""
        return {(one.cell, one.metric): one for one in episode.members if one.kind is self.kind}

    def members(self, judgements: Iterable[Judgement]) -> tuple[Member, ...]:
        """Judgements of tonight as members of an episode."""
        return tuple(
            Member(
                cell=one.comparison.cell,
                metric=one.comparison.metric,
                kind=self.kind,
                night=self.night,
                change=one.comparison.change or 0.0,
                p=one.comparison.p,
                verdict=one.verdict,
            )
            for one in judgements
        )


def place(judgement: Judgement) -> Place:
    return judgement.comparison.cell, judgement.comparison.metric


def is_same_cause(first: Cause, second: Cause) -> bool:
    return (first.attribution, first.subject) == (second.attribution, second.subject)


def summary(judgements: Sequence[Judgement]) -> str:
    """`itl_p50 +9.1 % and 3 more metrics in 2 cells`, worse ones and larger ones first."""
    by_size = sorted(
        judgements,
        key=lambda one: (one.verdict is not Verdict.REGRESSION, -abs(one.comparison.change or 0.0)),
    )
    first = by_size[0].comparison
    text = first.metric if first.change is None else f"{first.metric} {percent(first.change)}"
    more = f" and {len(judgements) - 1} more" if len(judgements) > 1 else ""
    cells = len({one.comparison.cell for one in judgements})
    return f"{text}{more} in {counted(cells, 'cell')}"
