"""Two samples set against each other: effect, interval, p, and what to know before believing it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import expm1, log

from regressions.policy import Policy
from regressions.sentences import figure, percent, size, sizes
from schema.judgements import Comparison, Side, Warning
from stats.rank_test import least_p, rank_test, trials_needed
from stats.samples import median
from stats.shift import hodges_lehmann


@dataclass(frozen=True, kw_only=True)
class Relative:
    """Both samples on a scale where a difference is a relative change, and the way back."""

    baseline: list[float]
    contender: list[float]
    change: Callable[[float], float]
    """Relative change of a difference on this scale."""


def side(builds: Sequence[str], trials: Sequence[str], values: Sequence[float]) -> Side:
    """One side with its median; `builds` in any order with repeats, the latest last."""
    latest_last = reversed(dict.fromkeys(reversed(builds)))
    middle = median(values) if values else None
    return Side(
        builds=tuple(latest_last), trials=tuple(trials), values=tuple(values), median=middle
    )


def compare(
    *,
    night: str,
    cell: str,
    metric: str,
    baseline: Side,
    contender: Side,
    policy: Policy,
    warnings: Iterable[Warning] = (),
) -> Comparison:
    """The comparison as far as the samples allow; `warnings` are those the caller knows of."""
    plain = Comparison(
        night=night,
        cell=cell,
        metric=metric,
        baseline=baseline,
        contender=contender,
        confidence=policy.confidence,
        warnings=tuple(warnings),
    )
    if baseline.values and contender.values:
        plain = _tested(plain)
    return plain.model_copy(update={"warnings": (*plain.warnings, *_warnings(plain, policy))})


def relative(baseline: Sequence[float], contender: Sequence[float]) -> Relative | None:
    """Logarithms where all values are positive, so that swapping the sides inverts the change.

    Otherwise values in units of the baseline's median; None when that is 0 and the values differ.
    """
    if min(*baseline, *contender) > 0:
        return Relative(
            baseline=[log(value) for value in baseline],
            contender=[log(value) for value in contender],
            change=expm1,
        )
    unit = abs(median(baseline))
    if unit == 0 and any([*baseline, *contender]):
        return None
    return Relative(
        baseline=[value / (unit or 1.0) for value in baseline],
        contender=[value / (unit or 1.0) for value in contender],
        change=float,
    )


def _tested(plain: Comparison) -> Comparison:
    first, second = plain.baseline.values, plain.contender.values
    found = plain.model_copy(
        update={"p": rank_test(first, second), "least_p": least_p(len(first), len(second))}
    )
    scale = relative(first, second)
    if scale is None:
        return found
    shift = hodges_lehmann(scale.baseline, scale.contender, confidence=plain.confidence)
    ends = shift.interval and (scale.change(shift.interval[0]), scale.change(shift.interval[1]))
    return found.model_copy(
        update={
            "change": scale.change(shift.estimate),
            "interval": ends,
            "confidence": shift.confidence or plain.confidence,
        }
    )


def _warnings(comparison: Comparison, policy: Policy) -> Iterator[Warning]:
    baseline, contender = comparison.baseline.values, comparison.contender.values
    for name, values in (("baseline", baseline), ("contender", contender)):
        if not values and not blocking(comparison):
            yield Warning(code="not-estimable", text=f"the {name} has no value")
    if comparison.p is None or comparison.metric in policy.exact:
        return
    if comparison.change is None:
        yield Warning(code="not-estimable", text="the baseline's median is 0: no relative change")
    if len({*baseline, *contender}) == 1:
        count = len(baseline) + len(contender)
        yield Warning(code="identical", text=f"all {count} values are equal, which noise never is")
        return
    if comparison.least_p and comparison.least_p > policy.alpha:
        yield few_trials(comparison, policy)
    yield from _wide(comparison, policy.min_change[comparison.metric])


def blocking(comparison: Comparison) -> list[str]:
    """Why nothing can be tested, as far as the warnings say it."""
    codes = {"not-estimable", "no-valid-trial"}
    return [warning.text for warning in comparison.warnings if warning.code in codes]


def few_trials(comparison: Comparison, policy: Policy) -> Warning:
    """What these sizes can reach, and the sizes that would do."""
    least = least_p(len(comparison.baseline.values), len(comparison.contender.values))
    needed = trials_needed(policy.alpha)
    text = (
        f"least reachable p is {figure(least)} with {sizes(comparison)} trials; "
        f"alpha {policy.alpha:g} needs {needed} v {needed}"
    )
    return Warning(code="few-trials", text=text)


def _wide(comparison: Comparison, min_change: float) -> Iterator[Warning]:
    """A change is seen when its interval leaves 0 out: when it exceeds the interval's arm."""
    if comparison.interval is None or comparison.change is None:
        return
    low, high = comparison.interval
    arm = max(high - comparison.change, comparison.change - low)
    if arm > min_change:
        text = (
            f"the interval {percent(low)} to {percent(high)} is wide: only a change of about "
            f"{size(arm)} or more would have been seen, {size(min_change)} matters"
        )
        yield Warning(code="wide-interval", text=text)
