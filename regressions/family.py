"""The night's family: how many questions were asked, and what that does to each answer.

The least p of 5 v 5 trials is 2/252 = 0.0079. With 19 tested metrics in each of 4 cells a lone
finding that reaches it becomes 0.60 under Benjamini-Hochberg over all 76, and grouping the metrics
helps too little: 6 groups a cell make 24 Simes p-values, and 24 x 0.0079 = 0.19 is still above
q = 0.05. No correction of separate rank tests can find it. So a cell is asked one question:
whether any of its metrics moved, by exchanging whole trials (stats.joint_test), whose p reaches
0.0079 however many metrics there are and however they hang together. Benjamini-Hochberg then runs
over the cells (4 x 0.0079 = 0.032), and inside the cells it selects each metric keeps the p that
the joint test gave it (Benjamini and Bogomolov 2014). 5 v 5 trials serve 6 cells at q = 0.05;
`trials_needed(q / cells)` says what more cells need.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np

from regressions.compare import relative
from regressions.policy import Policy
from schema.judgements import Comparison
from stats.correction import adjusted_after_selection
from stats.joint_test import joint_test


def is_settled(comparison: Comparison, policy: Policy) -> bool:
    """Whether a metric without noise repeats itself on both sides: nothing is left to test."""
    values = (comparison.baseline.values, comparison.contender.values)
    return comparison.metric in policy.exact and all(
        len(one) > 1 and len(set(one)) == 1 for one in values
    )


def is_testable(comparison: Comparison, policy: Policy) -> bool:
    """Whether these sizes could have led to a finding at all; the others ask nothing."""
    fewest = min(len(comparison.baseline.values), len(comparison.contender.values))
    return (
        fewest >= policy.min_trials
        and comparison.change is not None
        and comparison.least_p is not None
        and comparison.least_p <= policy.alpha
        and not is_settled(comparison, policy)
    )


def corrected(comparisons: Sequence[Comparison], policy: Policy) -> list[Comparison]:
    """The comparisons in their order, the testable ones with p_adjusted and family_size.

    p_adjusted is the least q at which the night would report the metric as moved.
    """
    cells: dict[str, list[int]] = defaultdict(list)
    for at, comparison in enumerate(comparisons):
        if is_testable(comparison, policy):
            cells[comparison.cell].append(at)
    within = {
        cell: _within_cell([comparisons[at] for at in members], policy)
        for cell, members in cells.items()
    }
    cell_ps = [min(ps) for ps in within.values()]
    family_size = sum(len(members) for members in cells.values())
    adjusted = {
        at: adjusted_after_selection(cell_ps, p)
        for cell, members in cells.items()
        for at, p in zip(members, within[cell], strict=True)
    }
    return [
        comparison.model_copy(update={"p_adjusted": adjusted[at], "family_size": family_size})
        if at in adjusted
        else comparison
        for at, comparison in enumerate(comparisons)
    ]


def _within_cell(comparisons: Sequence[Comparison], policy: Policy) -> list[float]:
    """p of each metric over all metrics of the cell; never below its own p."""
    contenders = list(dict.fromkeys(chain(*(one.contender.trials for one in comparisons))))
    baselines = list(dict.fromkeys(chain(*(one.baseline.trials for one in comparisons))))
    rows = {trial: row for row, trial in enumerate([*contenders, *baselines])}
    values = np.full((len(rows), len(comparisons)), np.nan)
    for column, one in enumerate(comparisons):
        scale = relative(one.baseline.values, one.contender.values)
        if scale is not None:
            values[[rows[trial] for trial in one.contender.trials], column] = scale.contender
            values[[rows[trial] for trial in one.baseline.trials], column] = scale.baseline
    floors = np.array([policy.min_change[one.metric] for one in comparisons])
    together = joint_test(values, len(contenders), floors)
    return [max(p, one.p or 1.0) for p, one in zip(together, comparisons, strict=True)]
