"""Comparisons that were made, with their verdicts."""

from collections.abc import Iterator, Sequence

from dashboard.units import interval, pair, percent, probability
from regressions.sentences import sizes, some
from regressions.undecided import undecided
from runners.builds.provided import VARIANTS
from schema.judgements import CONDITIONS, Judgement, Verdict
from schema.metrics import METRICS
from schema.store.nights import NightSummary
from schema.trials import variant_named
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import folded, table
from tailwatch.verdict_table import HEADLINE, summary

SHOWN = (*HEADLINE, "tail_ratio_itl", "gpu_memory_peak", "energy_per_token")
"""Metrics told whatever their verdict; of the others what moved."""
WITHOUT_STALLS = "steady_throughput"
"""Told of the cells in which an engine stalled; elsewhere it is the throughput."""
MOVED = (Verdict.REGRESSION, Verdict.IMPROVEMENT)


def comparisons(found: Found) -> Iterator[str]:
    """A table for each night in which two sides were compared."""
    made = [night for night in found.nights if _compared(found.judgements[night.name])]
    if not made:
        yield "No night has compared two sides yet."
        yield ""
    for night in made:
        yield from _night(night, found)


def _compared(judgements: Sequence[Judgement]) -> list[Judgement]:
    return [own for own in judgements if own.comparison.change is not None]


def _night(night: NightSummary, found: Found) -> Iterator[str]:
    against = ", ".join(night.baselines) or "the nights before"
    judgements = found.judgements[night.name]
    yield f"### {night.name}: {against} → {', '.join(night.contenders)}"
    yield ""
    yield f"{summary(judgements)}."
    yield ""
    if remarks := dict.fromkeys([*_variants(night), *_apart(judgements)]):
        yield from (f"- {own}" for own in remarks)
        yield ""
    stalled = _stalled(judgements)
    shown = [own for own in _compared(judgements) if _is_shown(own, stalled)]
    decided = [own for own in shown if own.verdict is not Verdict.INCONCLUSIVE]
    if decided:
        yield from _table(decided, found)
    yield from folded("What could not be decided, and why", _undecided(judgements, shown, found))


def _undecided(
    judgements: Sequence[Judgement], shown: Sequence[Judgement], found: Found
) -> Iterator[str]:
    reasons = undecided(judgements)
    for one in reasons:
        cells = some([found.slugs[key] for key in one.cells])
        yield f"- {', '.join(one.metrics)} of {cells}: {one.reason}"
    if reasons:
        yield ""
    rows = [own for own in shown if own.verdict is Verdict.INCONCLUSIVE]
    if rows:
        yield from _table(rows, found)


def _table(rows: Sequence[Judgement], found: Found) -> Iterator[str]:
    titles = ("verdict", "cell", "metric", "medians", "change", "interval", "p", "trials")
    yield from table(titles, [_row(own, found) for own in rows], text=3)


def _variants(night: NightSummary) -> list[str]:
    """What was altered in the builds that were compared."""
    labels = [variant_named(build) for build in (*night.baselines, *night.contenders)]
    return [f"`+{label}`: {VARIANTS[label].why}" for label in labels if label in VARIANTS]


def _apart(judgements: Sequence[Judgement]) -> list[str]:
    warnings = [warning for own in judgements for warning in own.comparison.warnings]
    return [warning.text for warning in warnings if warning.code in CONDITIONS]


def _stalled(judgements: Sequence[Judgement]) -> set[str]:
    """Cells of whose trials one or more have another throughput outside of stalls."""
    made = {(own.comparison.cell, own.comparison.metric): own.comparison for own in judgements}
    return {
        cell
        for (cell, metric), steady in made.items()
        if metric == WITHOUT_STALLS
        and (whole := made.get((cell, "output_throughput"))) is not None
        and (whole.baseline.values, whole.contender.values)
        != (steady.baseline.values, steady.contender.values)
    }


def _is_shown(own: Judgement, stalled: set[str]) -> bool:
    made = own.comparison
    if made.metric == WITHOUT_STALLS and made.cell not in stalled:
        return False
    return made.metric in (*SHOWN, WITHOUT_STALLS) or own.verdict in MOVED


def _row(own: Judgement, found: Found) -> tuple[str, ...]:
    made = own.comparison
    unit = METRICS[made.metric].unit
    return (
        own.verdict,
        found.slugs[made.cell],
        f"`{made.metric}`",
        pair(made.baseline.median, made.contender.median, unit),
        percent(made.change),
        interval(made.interval),
        probability(made.p),
        sizes(made),
    )
