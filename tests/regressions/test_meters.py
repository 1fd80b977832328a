"""False alarms and the price of decisions, counted."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from regressions.meters import crossed, false_alarms, hours_a_launch, night_costs
from schema.cells import Gpu
from schema.judgements import Verdict
from schema.nights import NightKind
from schema.store.costs import LaunchCost
from schema.store.nights import NightSummary
from schema.store.silent import SilentVerdict, TwoVerdicts
from schema.trials import TrialState


def verdict(
    night: str, word: Verdict = Verdict.NO_CHANGE, p: float | None = 0.5, tested: bool = True
) -> SilentVerdict:
    return SilentVerdict(
        night=night, cell="c", metric="itl_p50", verdict=word, reason="", change=0.0, p=p,
        p_adjusted=p if tested else None,
    )  # fmt: skip


def test_nights_are_counted_and_not_their_comparisons() -> None:
    bad = [verdict("n2", word, p=0.002) for word in (Verdict.REGRESSION, Verdict.IMPROVEMENT)]
    found = false_alarms([verdict("n1"), verdict("n1"), *bad, verdict("n3")])
    assert (found.nights, found.nights_with_alarm, found.comparisons) == (3, 1, 5)
    assert found.rate == pytest.approx(1 / 3)
    assert list(found.alarms) == bad
    assert found.ps == (("n1", 0.5), ("n2", pytest.approx(0.002)), ("n3", 0.5))


def test_what_could_not_be_tested_counts_for_nothing() -> None:
    untested = verdict("n1", Verdict.INCONCLUSIVE, p=None, tested=False)
    found = false_alarms([untested])
    assert (found.nights, found.rate, found.ps) == (0, None, ())
    assert found.interval(0.95) == (0.0, 1.0)


def test_what_is_settled_without_a_test_can_be_a_false_alarm() -> None:
    found = false_alarms([verdict("n1", Verdict.REGRESSION, p=None, tested=False)])
    assert (found.nights, found.nights_with_alarm, found.ps) == (1, 1, ())


@given(st.integers(1, 40), st.data(), st.sampled_from([0.8, 0.95]))
def test_the_interval_is_that_of_clopper_and_pearson(
    nights: int, data: st.DataObject, confidence: float
) -> None:
    bad = data.draw(st.integers(0, nights))
    words = [Verdict.REGRESSION] * bad + [Verdict.NO_CHANGE] * (nights - bad)
    found = false_alarms([verdict(f"n{at}", word) for at, word in enumerate(words)])
    low, high = found.interval(confidence)
    rest = (1 - confidence) / 2
    assert low == pytest.approx(beta.ppf(rest, bad, nights - bad + 1) if bad else 0)
    assert high == pytest.approx(beta.isf(rest, bad + 1, nights - bad) if bad < nights else 1)


def launch(night: str, hours: float, valid: int = 1, family: str = "f") -> LaunchCost:
    return LaunchCost(night=night, family=family, gpu=Gpu.H100, hours=hours, valid_trials=valid)


def summary(name: str, **verdicts: int) -> NightSummary:
    words = {word: verdicts.get(word.name.lower(), 0) for word in Verdict}
    return NightSummary(
        name=name, date=date(2026, 11, 22), kind=NightKind.NIGHTLY, matrix="demo", contenders=(),
        baselines=(), cells=1, cells_without_trials=0, launches_planned=1, launches=1,
        trials=dict.fromkeys(TrialState, 0), verdicts=words,
    )  # fmt: skip


def test_a_decision_costs_all_that_its_night_used() -> None:
    nights = [summary("n2", no_change=3, regression=1, inconclusive=6), summary("n1")]
    [cost] = night_costs([launch("n2", 1.5), launch("n2", 0.5, valid=0)], nights)
    assert (cost.launches, cost.hours, cost.lost_hours) == (2, 2.0, 0.5)
    assert (cost.decided, cost.undecided, cost.hours_per_decision) == (4, 6, 0.5)


def test_a_night_without_a_decision_has_no_price_a_decision() -> None:
    [cost] = night_costs([launch("n1", 1.0)], [summary("n1", inconclusive=2)])
    assert cost.hours_per_decision is None


def test_a_launch_costs_what_those_cost_that_ended() -> None:
    launches = [launch("n", 1.0), launch("n", 2.0), launch("n", 9.0), launch("n", 0.1, valid=0)]
    assert hours_a_launch([*launches, launch("n", 4.0, family="g")]) == {"f": 2.0, "g": 4.0}


def test_verdicts_are_crossed() -> None:
    pair = (Verdict.NO_CHANGE, Verdict.REGRESSION)
    told = TwoVerdicts(
        night="n", cell="c", cell_slug="c", metric="itl_p50", told=pair[0], told_reason="",
        shadow=pair[1], shadow_reason="",
    )  # fmt: skip
    assert crossed([told, told]) == {pair: 2}
