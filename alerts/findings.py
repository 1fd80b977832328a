"""What a night has to tell, sorted by what a reader does about it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

from regressions.causes import MOVED
from regressions.undecided import Undecided, undecided
from schema.cells import Cell
from schema.episodes import Episode
from schema.judgements import CONDITIONS, Judgement, Verdict
from schema.nights import Night
from schema.store.annotations import Annotation
from schema.store.trials import TrialSummary
from schema.trials import TrialState

Remarks: TypeAlias = dict[tuple[str, str | None], str]
"""By cell and metric, or by cell for all its metrics."""

KNOWN_FOR = timedelta(days=14)
"""How long a remark about a cell answers for it; a step older than that is in the baseline."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One metric of one cell that moved."""

    judgement: Judgement
    slug: str
    """Of the cell."""
    remark: str | None = None
    """What a person said about it before; only for what got worse."""


@dataclass(frozen=True, kw_only=True)
class FailedCell:
    """A cell some of whose trials did not end well and were not repeated."""

    slug: str
    trials: int
    """All that ran."""
    lost: dict[TrialState, int]
    """How many are failed or invalid."""
    reason: str
    """The one given most often."""
    example: str
    """Key of a trial with that reason."""


@dataclass(frozen=True, kw_only=True)
class ConditionChange:
    """Where launches that were compared differ in their machines, or in what is installed."""

    what: str
    """`host` or `packages`."""
    text: str
    cells: int


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A night, told apart."""

    night: Night
    policy: str | None
    """Hash of the policy; None when nothing was judged."""
    trials: int
    valid: int
    """How many of the trials entered samples."""
    worse: tuple[Finding, ...]
    known: tuple[Finding, ...]
    """Worse, but a person has spoken about it."""
    better: tuple[Finding, ...]
    recovered: tuple[Finding, ...]
    """Worse the night before, and no longer."""
    undecided: tuple[Undecided, ...]
    unchanged: int
    failed: tuple[FailedCell, ...]
    unmeasured: tuple[str, ...]
    """Slugs of planned cells without any trial."""
    condition_changes: tuple[ConditionChange, ...]
    episodes: tuple[Episode, ...] = ()
    """As they were after this night: those it opened, left open or closed."""
    elsewhere: int = 0
    """Open ones about cells that this night was not to measure."""

    @property
    def nothing_ran(self) -> bool:
        return self.trials == 0


def findings(
    night: Night,
    judgements: Sequence[Judgement],
    trials: Sequence[TrialSummary],
    annotations: Iterable[Annotation] = (),
    before: Sequence[Judgement] = (),
    episodes: Iterable[Episode] = (),
) -> Findings:
    """Sort a night. `before` are the judgements of the night before it, for recoveries.

    What an episode has moved is told by the episode, once.
    """
    cells = {cell.key: cell for cell in night.cells}
    known = [one for one in episodes if one.is_open or one.changed == night.name]
    concerned = tuple(one for one in known if one.is_about(night))
    told = {(one.cell, one.metric) for episode in concerned for one in episode.members}
    judged = [one for one in judgements if one.comparison.cell in cells]
    remarks = _remarks(night, annotations)
    by_verdict: dict[Verdict, list[Finding]] = {verdict: [] for verdict in Verdict}
    for one in judged:
        if one.verdict not in MOVED or _place(one) not in told:
            by_verdict[one.verdict].append(_finding(one, cells, remarks))
    worse = by_verdict[Verdict.REGRESSION]
    tried = {trial.cell for trial in trials}
    absent = {trial.cell for trial in trials if _is_lost(trial)} | (set(cells) - tried)
    return Findings(
        night=night,
        policy=judgements[0].policy if judgements else None,
        trials=len(trials),
        valid=sum(trial.state is TrialState.VALID for trial in trials),
        worse=tuple(one for one in worse if one.remark is None),
        known=tuple(one for one in worse if one.remark is not None),
        better=tuple(by_verdict[Verdict.IMPROVEMENT]),
        recovered=_recovered(by_verdict, [one for one in before if _place(one) not in told]),
        undecided=undecided(one for one in judged if not _is_told(one, absent)),
        unchanged=len(by_verdict[Verdict.NO_CHANGE]),
        failed=_failed(trials),
        unmeasured=tuple(cell.slug for key, cell in cells.items() if key not in tried),
        condition_changes=_condition_changes(judged),
        episodes=concerned,
        elsewhere=sum(one.is_open for one in known) - sum(one.is_open for one in concerned),
    )


def _finding(judgement: Judgement, cells: dict[str, Cell], remarks: Remarks) -> Finding:
    cell, metric = judgement.comparison.cell, judgement.comparison.metric
    remark = remarks.get((cell, metric)) or remarks.get((cell, None))
    return Finding(judgement=judgement, slug=cells[cell].slug, remark=remark)


def _remarks(night: Night, annotations: Iterable[Annotation]) -> Remarks:
    """The latest remark on each cell, or metric of it; general ones acknowledge nothing."""
    remarks: Remarks = {}
    for one in sorted(annotations, key=lambda one: one.created_at):
        age = night.date - date.fromisoformat(one.night[:10])
        if one.cell is not None and timedelta(0) <= age <= KNOWN_FOR:
            remarks[one.cell, one.metric] = f"{one.author}: {one.text}"
    return remarks


def _recovered(
    tonight: Mapping[Verdict, Sequence[Finding]], before: Sequence[Judgement]
) -> tuple[Finding, ...]:
    was_worse = {_place(one) for one in before if one.verdict is Verdict.REGRESSION}
    well = [*tonight[Verdict.NO_CHANGE], *tonight[Verdict.IMPROVEMENT]]
    return tuple(one for one in well if _place(one.judgement) in was_worse)


def _place(judgement: Judgement) -> tuple[str, str]:
    return judgement.comparison.cell, judgement.comparison.metric


def _is_told(judgement: Judgement, told: set[str]) -> bool:
    """Whether its cell appears as failed or not measured, and that is all there is to say."""
    comparison = judgement.comparison
    absent = any(warning.code == "no-valid-trial" for warning in comparison.warnings)
    return absent and comparison.cell in told


def _is_lost(trial: TrialSummary) -> bool:
    return trial.state is not TrialState.VALID and not trial.replaced


def _failed(trials: Sequence[TrialSummary]) -> tuple[FailedCell, ...]:
    by_slug: dict[str, list[TrialSummary]] = {}
    for trial in trials:
        by_slug.setdefault(trial.cell_slug, []).append(trial)
    failed = []
    for slug, own in by_slug.items():
        lost = [trial for trial in own if _is_lost(trial)]
        if lost:
            reasons = Counter(trial.reason or "no reason was given" for trial in lost)
            reason = reasons.most_common(1)[0][0]
            example = next(one for one in lost if (one.reason or reason) == reason)
            failed.append(
                FailedCell(
                    slug=slug,
                    trials=len(own),
                    lost=dict(Counter(trial.state for trial in lost)),
                    reason=reason,
                    example=example.key,
                )
            )
    return tuple(failed)


def _condition_changes(judgements: Sequence[Judgement]) -> tuple[ConditionChange, ...]:
    cells: dict[tuple[str, str], set[str]] = {}
    for one in judgements:
        for warning in one.comparison.warnings:
            if what := CONDITIONS.get(warning.code):
                cells.setdefault((what, warning.text), set()).add(one.comparison.cell)
    return tuple(
        ConditionChange(what=what, text=text, cells=len(found))
        for (what, text), found in cells.items()
    )
