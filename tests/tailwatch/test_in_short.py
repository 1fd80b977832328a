"""What the document of measurements says of a comparison in one line."""

from schema.judgements import Comparison, Judgement, Side, Verdict
from tailwatch.measurements.short import largest_move

SLUGS = {"a": "vllm/mixtral/batch-32", "b": "vllm/mixtral/batch-1"}
SIDE = Side(builds=("x",), trials=("t",), values=(1.0,), median=1.0)


def _judgement(verdict: Verdict, cell: str, metric: str, change: float) -> Judgement:
    found = Comparison(
        night="2026-11-23", cell=cell, metric=metric, baseline=SIDE, contender=SIDE,
        change=change, confidence=0.95,
    )  # fmt: skip
    return Judgement(comparison=found, verdict=verdict, reason="r", policy="p")


HEAVIER = _judgement(Verdict.REGRESSION, "a", "graph_memory", 0.152)
TAIL = _judgement(Verdict.REGRESSION, "a", "itl_p99", 0.151)
MEDIAN = _judgement(Verdict.NO_CHANGE, "a", "itl_p50", 0.0004)
ELSEWHERE = _judgement(Verdict.NO_CHANGE, "b", "itl_p50", 0.02)


def test_a_tail_is_told_with_the_median_that_it_left_behind() -> None:
    told = largest_move([HEAVIER, TAIL, MEDIAN, ELSEWHERE], SLUGS)
    assert told == "; most `itl_p99`, +15.1 % (its median +0.04 %) in vllm/mixtral/batch-32"


def test_memory_is_told_where_no_speed_moved() -> None:
    told = largest_move([HEAVIER, MEDIAN], SLUGS)
    assert told == "; most `graph_memory`, +15.2 % in vllm/mixtral/batch-32"


def test_where_nothing_moved_nothing_is_told() -> None:
    assert largest_move([MEDIAN, ELSEWHERE], SLUGS) == ""
