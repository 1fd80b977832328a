"""A night's verdicts as a table of text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from alerts.units import pair
from schema.judgements import Judgement, Verdict
from schema.metrics import METRICS

HEADINGS = ("verdict", "cell", "metric", "medians", "change", "interval", "p", "n")
ORDER = (Verdict.REGRESSION, Verdict.IMPROVEMENT, Verdict.INCONCLUSIVE, Verdict.NO_CHANGE)
"""What must be acted on first."""
ABSENT = "-"


def verdict_table(
    judgements: Sequence[Judgement], slugs: Mapping[str, str], *, everything: bool = False
) -> str:
    """One row a judgement, worst first; `no change` is only counted unless `everything`.

    `slugs` gives the slug of a cell by its key. The reason of an undecided row stands below it.
    """
    shown = [one for one in judgements if everything or one.verdict is not Verdict.NO_CHANGE]
    shown.sort(key=lambda one: ORDER.index(one.verdict))
    lines = _aligned([HEADINGS, *(_row(one, slugs) for one in shown)]) if shown else []
    text = [lines[0]] if lines else []
    for one, line in zip(shown, lines[1:], strict=True):
        text.append(line)
        if one.verdict is Verdict.INCONCLUSIVE:
            text.append(f"    {one.reason}")
    return "\n".join([*text, summary(judgements)])


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


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
