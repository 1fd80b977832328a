"""A night's verdicts as a table of text."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from alerts.units import pair
from regressions.sentences import some
from regressions.undecided import undecided
from schema.judgements import Judgement, Verdict
from schema.metrics import METRICS
from tailwatch.console import aligned

HEADINGS = ("verdict", "cell", "metric", "medians", "change", "interval", "p", "n")
ORDER = (Verdict.REGRESSION, Verdict.IMPROVEMENT, Verdict.INCONCLUSIVE, Verdict.NO_CHANGE)
"""What must be acted on first."""
MOVED = (Verdict.REGRESSION, Verdict.IMPROVEMENT)
HEADLINE = ("output_throughput", "ttft_p50", "itl_p50", "itl_p99")
"""Shown even where they did not change: that is a finding as well."""
ABSENT = "-"


def verdict_table(
    judgements: Sequence[Judgement], slugs: Mapping[str, str], *, everything: bool = False
) -> str:
    """What moved as one row a judgement, worst first; what is undecided grouped by its reason.

    `slugs` gives the slug of a cell by its key. Of what did not change only HEADLINE has rows,
    unless `everything` makes a row of every judgement.
    """
    rows = [one for one in judgements if everything or _is_shown(one)]
    rows.sort(key=lambda one: ORDER.index(one.verdict))
    text = aligned([HEADINGS, *(_row(one, slugs) for one in rows)]) if rows else []
    return "\n".join([*text, *_undecided(judgements, slugs), summary(judgements)])


def _is_shown(judgement: Judgement) -> bool:
    unchanged = judgement.verdict is Verdict.NO_CHANGE
    return judgement.verdict in MOVED or (unchanged and judgement.comparison.metric in HEADLINE)


def _undecided(judgements: Sequence[Judgement], slugs: Mapping[str, str]) -> Iterator[str]:
    for one in undecided(judgements):
        cells = some([slugs.get(cell, cell) for cell in one.cells])
        yield f"{Verdict.INCONCLUSIVE}  {', '.join(one.metrics)} of {cells}"
        yield f"    {one.reason}"


def summary(judgements: Iterable[Judgement]) -> str:
    """`1 regression, 2 improvement, 0 inconclusive, 61 no change`."""
    counts = Counter(one.verdict for one in judgements)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER)


def _row(judgement: Judgement, slugs: Mapping[str, str]) -> tuple[str, ...]:
    comparison = judgement.comparison
    interval = comparison.interval
    sizes = f"{len(comparison.baseline.values)} v {len(comparison.contender.values)}"
    return (
        str(judgement.verdict),
        slugs.get(comparison.cell, comparison.cell),
        comparison.metric,
        pair(comparison.baseline.median, comparison.contender.median, _unit(comparison.metric)),
        ABSENT if comparison.change is None else f"{comparison.change:+.1%}",
        ABSENT if interval is None else f"{interval[0]:+.1%} to {interval[1]:+.1%}",
        ABSENT if comparison.p is None else f"{comparison.p:.4f}",
        sizes,
    )


def _unit(metric: str) -> str:
    """A metric that this code no longer has is shown without a unit."""
    return METRICS[metric].unit if metric in METRICS else "1"
