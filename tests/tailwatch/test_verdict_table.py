"""The table of verdicts."""

from schema.judgements import Comparison, Judgement, Side, Verdict
from tailwatch.verdict_table import summary, verdict_table


def _judgement(verdict: Verdict, metric: str, change: float | None = 0.05) -> Judgement:
    side = Side(builds=("b",), trials=("t",) * 5, values=(0.01,) * 5, median=0.01)
    comparison = Comparison(
        night="2026-11-22",
        cell="k",
        metric=metric,
        baseline=side,
        contender=side,
        change=change,
        interval=None if change is None else (0.04, 0.06),
        confidence=0.95,
        p=None if change is None else 0.0079,
    )
    return Judgement(comparison=comparison, verdict=verdict, reason="because", policy="h")


NIGHT = [
    _judgement(Verdict.NO_CHANGE, "ttft_p50", 0.001),
    _judgement(Verdict.NO_CHANGE, "e2e_p50"),
    _judgement(Verdict.INCONCLUSIVE, "itl_p99", None),
    _judgement(Verdict.INCONCLUSIVE, "tpot_p99", None),
    _judgement(Verdict.REGRESSION, "itl_p50"),
]


def test_the_worst_comes_first_and_what_did_not_change_in_the_headline_metrics() -> None:
    assert verdict_table(NIGHT, {"k": "vllm/tiny"}).splitlines() == [
        "verdict     cell       metric    medians           change  interval        p       n",
        "regression  vllm/tiny  itl_p50   10.00 → 10.00 ms  +5.0%   +4.0% to +6.0%  0.0079  5 v 5",
        "no change   vllm/tiny  ttft_p50  10.00 → 10.00 ms  +0.1%   +4.0% to +6.0%  0.0079  5 v 5",
        "inconclusive  itl_p99, tpot_p99 of vllm/tiny",
        "    because",
        "1 regression, 0 improvement, 2 inconclusive, 2 no change",
    ]


def test_everything_shows_every_metric() -> None:
    assert "e2e_p50" not in verdict_table(NIGHT, {})
    assert "e2e_p50" in verdict_table(NIGHT, {}, everything=True)


def test_a_night_without_a_headline_metric_has_no_table() -> None:
    assert verdict_table(NIGHT[1:2], {}) == summary(NIGHT[1:2])
