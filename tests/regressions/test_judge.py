"""What is concluded from a night, and how often that is wrong."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from regressions.judge import judge
from regressions.policy import Policy
from schema.judgements import Comparison, Judgement, Verdict

Sides = Callable[..., Comparison]
Nights = Callable[..., list[Comparison]]

LOW, HIGH = [1.00, 1.01, 0.99, 1.002, 0.998], [1.10, 1.11, 1.09, 1.102, 1.098]
NEAR = [value * 1.05 for value in LOW]
WIDE = [0.94, 1.06, 1.00, 1.03, 0.97]
ALMOST = [value * 1.028 for value in LOW]  # certainly moved, by less or by more than 3 %
MOVED = (Verdict.REGRESSION, Verdict.IMPROVEMENT)
ITL = ("itl_p50", "itl_p90", "itl_p99")


@pytest.mark.parametrize(
    ("baseline", "contender", "metric", "verdict", "reason"),
    [
        (LOW, HIGH, "itl_p50", Verdict.REGRESSION, "+10.0 % (96.8 % interval"),  # latency rose
        (HIGH, LOW, "itl_p50", Verdict.IMPROVEMENT, "-9.1 %"),
        (HIGH, LOW, "output_throughput", Verdict.REGRESSION, "-9.1 %"),  # throughput fell
        (LOW, HIGH, "output_throughput", Verdict.IMPROVEMENT, "+10.0 %"),
        (LOW, NEAR, "tail_ratio_itl", Verdict.NO_CHANGE, "but only 10 % matters"),
        (LOW, LOW[::-1], "itl_p50", Verdict.NO_CHANGE, "p 1.0: 3 % is ruled out"),
        # nothing shown, yet what would matter is not ruled out either: that is no finding
        (LOW, WIDE, "itl_p50", Verdict.INCONCLUSIVE, "neither show a change of 3 % nor rule it"),
        (LOW, ALMOST, "itl_p50", Verdict.INCONCLUSIVE, "neither show a change of 3 % nor rule it"),
        (
            LOW[:3],
            HIGH[:3],
            "itl_p50",
            Verdict.INCONCLUSIVE,
            "least reachable p is 0.10 with 3 v 3",
        ),
        (
            LOW[:2],
            HIGH * 4,
            "itl_p50",
            Verdict.INCONCLUSIVE,
            "2 v 20 trials; the policy asks for 3",
        ),
        (LOW, [], "itl_p50", Verdict.INCONCLUSIVE, "the contender has no value"),
        ([0] * 5, [1] * 5, "goodput", Verdict.INCONCLUSIVE, "median is 0"),
        # without noise, a repeated difference is a fact at any size
        ([5.0] * 2, [4.0] * 2, "kv_cache_capacity", Verdict.REGRESSION, "-20.0 % for certain"),
        ([5.0] * 2, [4.0] * 2, "weight_memory", Verdict.IMPROVEMENT, "-20.0 % for certain"),
        ([5.0] * 5, [5.01] * 5, "weight_memory", Verdict.NO_CHANGE, "but only 1 % matters"),
        ([5.0] * 5, [5.0] * 5, "weight_memory", Verdict.NO_CHANGE, "all 10 values are equal"),
        ([5.0], [4.0], "weight_memory", Verdict.INCONCLUSIVE, "least reachable p is 1.0"),
        (LOW, HIGH, "graph_memory", Verdict.REGRESSION, "p 0.0079"),  # it has noise after all
    ],
)
def test_one_comparison_alone(
    sides: Sides,
    policy: Policy,
    baseline: list[float],
    contender: list[float],
    metric: str,
    verdict: Verdict,
    reason: str,
) -> None:
    [judgement] = judge([sides(baseline, contender, metric)], policy)
    assert judgement.verdict is verdict
    assert reason in judgement.reason
    assert judgement.policy == policy.key


def test_a_finding_says_how_many_questions_were_asked(night: Nights, policy: Policy) -> None:
    shifts = {(2, metric): 0.10 for metric in ITL}
    judged = judge(night(np.random.default_rng(5), shifts=shifts), policy)
    [found] = [one for one in judged if one.verdict in MOVED and "p50" in one.comparison.metric]
    assert found.comparison.p_adjusted == pytest.approx(4 * 2 / 252)
    assert found.comparison.family_size == 4 * 20
    assert found.reason.endswith("0.032 within the night's family of 80 comparisons in 4 cells")


def test_too_many_cells_for_the_trials_are_undecided_with_the_trials_needed(
    night: Nights, policy: Policy
) -> None:
    comparisons = night(np.random.default_rng(6), cells=8, shifts={(2, "itl_p50"): 0.10})
    [alone] = [one for one in judge(comparisons, policy) if "alone" in one.reason]
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert alone.reason.endswith(
        "0.063 within the night's family of 160 comparisons in 8 cells; q 0.05 needs 6 v 6 trials"
    )


def test_what_cannot_be_tested_does_not_cost_the_others(
    sides: Sides, night: Nights, policy: Policy
) -> None:
    comparisons = night(np.random.default_rng(6), cells=1, shifts={(0, "itl_p50"): 0.10})
    silent = [sides(LOW[:3], HIGH[:3], cell=f"few{at}".ljust(16, "0")) for at in range(20)]
    judged = {one.comparison.key: one for one in judge([*comparisons, *silent], policy)}
    assert [judged[one.key].verdict for one in comparisons].count(Verdict.REGRESSION) == 1
    assert {judged[one.key].comparison.family_size for one in silent} == {0}


def test_the_order_of_the_comparisons_changes_nothing(night: Nights, policy: Policy) -> None:
    comparisons = night(np.random.default_rng(8), shifts={(0, "itl_p50"): 0.05})

    def told(judged: list[Judgement]) -> dict[str, str]:
        return {one.comparison.key: f"{one.verdict} {one.reason}" for one in judged}

    assert told(judge(comparisons, policy)) == told(judge(comparisons[::-1], policy))


def test_nothing_compared_is_nothing_judged(policy: Policy) -> None:
    assert judge([], policy) == []


@pytest.mark.parametrize(
    "cv",
    [
        0.01,  # as measured: the least change that matters protects as well
        0.10,  # so noisy that every chance separation exceeds it: the corrections stand alone
    ],
)
def test_a_night_without_a_change_reports_one_in_at_most_q_of_the_nights(
    night: Nights, policy: Policy, cv: float
) -> None:
    random = np.random.default_rng(11)
    nights = 120
    wrong = sum(
        any(one.verdict in MOVED for one in judge(night(random, cv=cv), policy))
        for _ in range(nights)
    )
    assert wrong / nights <= policy.q


def test_a_slow_down_of_one_cells_itl_is_found_in_most_nights(
    night: Nights, policy: Policy
) -> None:
    random = np.random.default_rng(12)
    found: Counter[str] = Counter()
    nights, wrong = 120, 0
    for _ in range(nights):
        judged = judge(night(random, shifts={(1, metric): 0.10 for metric in ITL}), policy)
        moved = [one for one in judged if one.verdict in MOVED]
        true = {one.comparison.metric for one in moved if one.comparison.cell.startswith("cell1")}
        found.update(true & {*ITL})
        wrong += len(moved) > len(true & {*ITL})
    assert found["itl_p50"] / nights > 0.95
    assert found["itl_p90"] / nights > 0.95
    assert wrong / nights <= policy.q
