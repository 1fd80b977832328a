"""A night in one sentence, and its judgements in the order in which people need them. Pure."""

from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from dashboard.units import percent
from regressions.sentences import counted, most_telling_first, some
from regressions.undecided import Undecided, reading_order, undecided
from schema.episodes import Episode
from schema.judgements import Judgement, Verdict
from schema.metrics import is_speed
from schema.trials import TrialState

_MOST_NAMED = 2
"""Cells that the headline names; the tables name all."""
_UNTIMED: tuple[str, str] = "Experts were counted; nothing was timed", Verdict.NO_CHANGE


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a night showed."""

    headline: str
    tone: str
    """A verdict or a trial state: whichever colours the night."""
    worse: tuple[Judgement, ...]
    better: tuple[Judgement, ...]
    undecided: tuple[Undecided, ...]
    unchanged: tuple[Judgement, ...]
    known: tuple[Judgement, ...]
    """Worse or better, and held by an episode from an earlier night."""


def overview(
    judgements: Sequence[Judgement],
    *,
    names: Mapping[str, str],
    trials: Mapping[TrialState, int],
    older: Sequence[Episode] = (),
    is_timed: bool = True,
) -> Overview:
    """`names` maps the key of every planned cell to its short name; `trials` counts by state;
    `older` are the open episodes from before the night: what they hold is no news. A night that is
    not timed only counted experts, and no verdict is due.
    """
    held = {(one.cell, one.metric) for episode in older for one in episode.members}
    by_verdict: dict[Verdict, list[Judgement]] = defaultdict(list)
    known = [own for own in judgements if _is_held(own, held)]
    for judgement in judgements:
        if not _is_held(judgement, held):
            by_verdict[judgement.verdict].append(judgement)
    worse = _by_cell(by_verdict[Verdict.REGRESSION])
    better = _by_cell(by_verdict[Verdict.IMPROVEMENT])
    unchanged = tuple(sorted(by_verdict[Verdict.NO_CHANGE], key=reading_order))
    open_ones = undecided(judgements)
    if not is_timed and not judgements and trials.get(TrialState.VALID):
        headline, tone = _UNTIMED
    else:
        headline, tone = _headline(worse, better, open_ones, [*unchanged, *known], names, trials)
    if is_timed and older and tone != TrialState.FAILED:
        headline, tone = _with_older(headline, tone, older)
    return Overview(
        headline=headline, tone=tone, worse=worse, better=better,
        undecided=open_ones, unchanged=unchanged, known=_by_cell(known),
    )  # fmt: skip


def _is_held(own: Judgement, held: Container[tuple[str, str]]) -> bool:
    moved = own.verdict in (Verdict.REGRESSION, Verdict.IMPROVEMENT)
    return moved and (own.comparison.cell, own.comparison.metric) in held


def short_names(slugs: Mapping[str, str]) -> dict[str, str]:
    """What tells the cells apart: their slugs (by key) without the parts that all of them share.

    A lone cell is named by its model and workload.
    """
    parts = {key: slug.split("/") for key, slug in slugs.items()}
    if len(parts) == 1:
        return {key: " ".join([*own[1:2], own[-1]]) for key, own in parts.items()}
    shared = set(shared_parts(slugs))
    short = {
        key: " ".join(part for part in own if part not in shared) for key, own in parts.items()
    }
    return told_apart({key: short[key] or slug for key, slug in slugs.items()})


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Names (by key) that are all different: cells may differ in what a slug does not say."""
    often = Counter(names.values())
    return {key: name if often[name] == 1 else f"{name} ({key[:8]})" for key, name in names.items()}


def shared_parts(slugs: Mapping[str, str]) -> tuple[str, ...]:
    """The parts of the slugs that every cell has, in order."""
    parts = [slug.split("/") for slug in slugs.values()]
    return tuple(part for part in parts[0] if all(part in own for own in parts)) if parts else ()


def _headline(
    worse: Sequence[Judgement],
    better: Sequence[Judgement],
    open_ones: Sequence[Undecided],
    unchanged: Sequence[Judgement],
    names: Mapping[str, str],
    trials: Mapping[TrialState, int],
) -> tuple[str, str]:
    if not sum(trials.values()):
        return "Nothing ran", TrialState.FAILED
    if worse:
        return _got_worse(worse, names), Verdict.REGRESSION
    if not trials.get(TrialState.VALID):
        return "Nothing could be measured: no trial is valid", TrialState.FAILED
    if better:
        return f"Nothing got worse; {_moved(better, names, 'improved')}", Verdict.IMPROVEMENT
    if open_ones and not unchanged:
        return "Nothing could be decided", Verdict.INCONCLUSIVE
    if not unchanged:
        return "Not judged yet", Verdict.INCONCLUSIVE
    if open_ones:
        count = sum(row.count for row in open_ones)
        left = "1 comparison is" if count == 1 else f"{count} comparisons are"
        return f"Nothing got worse; {left} undecided", Verdict.NO_CHANGE
    return "Nothing got worse", Verdict.NO_CHANGE


def _with_older(headline: str, tone: str, older: Sequence[Episode]) -> tuple[str, str]:
    """`Nothing new got worse; vllm 0.32.0 → 0.33.0 is still open`."""
    text = headline.replace("Nothing got worse", "Nothing new got worse")
    named = [f"{own.cause.words} ({own.state})" for own in older[:_MOST_NAMED]]
    more = f" and {len(older) - _MOST_NAMED} more" if len(older) > _MOST_NAMED else ""
    seen = f"{text}; still open: {', '.join(named)}{more}"
    return seen, Verdict.INCONCLUSIVE if tone == Verdict.NO_CHANGE else tone


def _got_worse(worse: Sequence[Judgement], names: Mapping[str, str]) -> str:
    """What got slower by cell, and what else got worse by metric: `1 of 3 cells got slower:
    batch-32 (itl_p99 +15.1 %); worse besides: graph_memory +15.2 %`."""
    slower = [own for own in worse if is_speed(own.comparison.metric)]
    if not slower:
        return _moved(worse, names, "got worse")
    besides: dict[str, float | None] = {}
    for own in sorted(worse, key=_order):
        if not is_speed(own.comparison.metric):
            besides.setdefault(own.comparison.metric, own.comparison.change)
    named = [f"{metric} {percent(change)}" for metric, change in besides.items()]
    told = _moved(slower, names, "got slower")
    return f"{told}; worse besides: {some(named)}" if named else told


def _moved(judgements: Sequence[Judgement], names: Mapping[str, str], how: str) -> str:
    """`1 of 4 cells got slower: tiny-llama closed-4 (itl_p50 +8.2 %)`; cells keep their order."""
    largest: dict[str, Judgement] = {}
    for judgement in judgements:
        cell = judgement.comparison.cell
        largest[cell] = min(largest.get(cell, judgement), judgement, key=_order)
    named = [
        f"{names.get(cell, cell)} ({own.comparison.metric} {percent(own.comparison.change)})"
        for cell, own in list(largest.items())[:_MOST_NAMED]
    ]
    more = f" and {len(largest) - _MOST_NAMED} more" if len(largest) > _MOST_NAMED else ""
    total = max(len(names), len(largest))
    return f"{len(largest)} of {counted(total, 'cell')} {how}: {', '.join(named)}{more}"


def _order(judgement: Judgement) -> tuple[bool, float]:
    return most_telling_first(judgement.comparison.metric, judgement.comparison.change)


def _by_cell(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Cells with the most telling change first, each with its metrics in reading order."""
    least_first = sorted(judgements, key=_order, reverse=True)
    first = {own.comparison.cell: _order(own) for own in least_first}
    return tuple(
        sorted(judgements, key=lambda own: (first[own.comparison.cell], *reading_order(own)))
    )
