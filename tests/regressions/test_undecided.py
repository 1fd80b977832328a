"""What could not be decided is told once for each reason."""

from regressions.undecided import Undecided, undecided
from schema.judgements import Comparison, Judgement, Side, Verdict, Warning

SIDE = Side(builds=("x",), trials=("t",), values=(1.0,), median=1.0)
FEW = Warning(code="few-trials", text="least reachable p is 0.10")
SHORT = Warning(code="not-estimable", text="24 observations, needs 100")


def judgement(
    cell: str, metric: str, warning: Warning, verdict: Verdict = Verdict.INCONCLUSIVE
) -> Judgement:
    found = Comparison(
        night="2026-11-21", cell=cell, metric=metric, baseline=SIDE, contender=SIDE,
        confidence=0.95, warnings=(warning,),
    )  # fmt: skip
    return Judgement(comparison=found, verdict=verdict, reason=warning.text, policy="p")


def test_cells_whose_metrics_share_a_reason_are_told_together() -> None:
    night = [judgement(cell, metric, FEW) for cell in "ba" for metric in ("itl_p50", "ttft_p50")]
    (row,) = undecided(night)
    assert row == Undecided(cells=("a", "b"), metrics=("ttft_p50", "itl_p50"), reason=FEW.text)
    assert row.count == 4


def test_another_set_of_metrics_is_another_row() -> None:
    night = [judgement("a", "itl_p50", FEW), judgement("b", "itl_p50", FEW)]
    night.append(judgement("b", "ttft_p50", FEW))
    assert [(row.cells, row.metrics) for row in undecided(night)] == [
        (("a",), ("itl_p50",)),
        (("b",), ("ttft_p50", "itl_p50")),
    ]


def test_what_no_further_trial_would_change_comes_last() -> None:
    night = [judgement("a", "e2e_p90", SHORT), judgement("b", "itl_p50", FEW)]
    assert [row.reason for row in undecided(night)] == [FEW.text, SHORT.text]


def test_what_was_decided_is_not_told() -> None:
    assert undecided([judgement("a", "itl_p50", FEW, Verdict.NO_CHANGE)]) == ()
