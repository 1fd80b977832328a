"""Verdicts: what the policy concludes from the comparisons of one night."""

from collections.abc import Sequence

from regressions.compare import blocking, few_trials
from regressions.family import corrected, is_settled
from regressions.policy import Policy
from regressions.sentences import counted, effect, figure, percent, size, sizes
from schema.judgements import Comparison, Judgement, Verdict
from schema.metrics import METRICS, Direction
from stats.rank_test import least_p, trials_needed


def judge(comparisons: Sequence[Comparison], policy: Policy) -> list[Judgement]:
    """One judgement a comparison, in their order. All of them together are the night's family."""
    family = corrected(comparisons, policy)
    cells = len({one.cell for one in family if one.p_adjusted is not None})
    judgements = []
    for comparison in family:
        verdict, reason = _conclude(comparison, policy, cells)
        judgements.append(
            Judgement(comparison=comparison, verdict=verdict, reason=reason, policy=policy.key)
        )
    return judgements


def _conclude(comparison: Comparison, policy: Policy, cells: int) -> tuple[Verdict, str]:
    change, p = comparison.change, comparison.p
    if change is None or p is None:
        return Verdict.INCONCLUSIVE, "; ".join(blocking(comparison))
    min_change = policy.min_change[comparison.metric]
    if is_settled(comparison, policy):
        return _settled(comparison, change, min_change)
    if too_few := _too_few(comparison, policy):
        return Verdict.INCONCLUSIVE, too_few
    if p > policy.alpha or abs(change) < min_change:
        return _nothing_shown(comparison, policy)
    if comparison.p_adjusted is None or comparison.p_adjusted > policy.q:
        return Verdict.INCONCLUSIVE, _lost_in_family(comparison, policy, cells)
    within = f"{figure(comparison.p_adjusted)} within {_family(comparison, cells)}"
    return _direction(comparison.metric, change), f"{effect(comparison)}, {within}"


def _settled(comparison: Comparison, change: float, min_change: float) -> tuple[Verdict, str]:
    """A metric without noise: whatever differs, differs for certain."""
    if change == 0:
        count = len(comparison.baseline.values) + len(comparison.contender.values)
        return Verdict.NO_CHANGE, f"all {count} values are equal"
    certain = f"{percent(change)} for certain: each side repeats its value exactly"
    if abs(change) < min_change:
        return Verdict.NO_CHANGE, f"{certain}, but only {size(min_change)} matters"
    return _direction(comparison.metric, change), certain


def _nothing_shown(comparison: Comparison, policy: Policy) -> tuple[Verdict, str]:
    """No change that matters is a finding too: it needs an interval that leaves all of them out."""
    min_change = policy.min_change[comparison.metric]
    if comparison.interval is None or max(map(abs, comparison.interval)) >= min_change:
        seen = f"{sizes(comparison)} trials neither show a change of {size(min_change)}"
        return Verdict.INCONCLUSIVE, f"{seen} nor rule it out"
    if comparison.p is not None and comparison.p <= policy.alpha:
        return Verdict.NO_CHANGE, f"{effect(comparison)}, but only {size(min_change)} matters"
    return Verdict.NO_CHANGE, f"{effect(comparison)}: {size(min_change)} is ruled out"


def _too_few(comparison: Comparison, policy: Policy) -> str | None:
    fewest = min(len(comparison.baseline.values), len(comparison.contender.values))
    if comparison.least_p is None or comparison.least_p > policy.alpha:
        return few_trials(comparison, policy).text
    if fewest < policy.min_trials:
        return f"{sizes(comparison)} trials; the policy asks for {policy.min_trials} a side"
    return None


def _lost_in_family(comparison: Comparison, policy: Policy, cells: int) -> str:
    """Significant alone, yet a night of so many questions shows as much by chance too often."""
    adjusted = 1.0 if comparison.p_adjusted is None else comparison.p_adjusted
    text = f"{effect(comparison)} alone, {figure(adjusted)} within {_family(comparison, cells)}"
    m, n = len(comparison.baseline.values), len(comparison.contender.values)
    if least_p(m, n) > policy.q / cells:
        needed = trials_needed(policy.q / cells)
        return f"{text}; q {policy.q:g} needs {needed} v {needed} trials"
    return f"{text}; q {policy.q:g} needs more than {sizes(comparison)} trials"


def _family(comparison: Comparison, cells: int) -> str:
    asked = counted(comparison.family_size, "comparison")
    return f"the night's family of {asked} in {counted(cells, 'cell')}"


def _direction(metric: str, change: float) -> Verdict:
    better = (change > 0) == (METRICS[metric].direction is Direction.HIGHER)
    return Verdict.IMPROVEMENT if better else Verdict.REGRESSION
