"""What is told first of what moved."""

from regressions.sentences import moves
from schema.episodes import Member
from schema.judgements import Verdict
from schema.nights import NightKind


def _member(metric: str, change: float, verdict: Verdict = Verdict.REGRESSION) -> Member:
    return Member(
        cell="a", metric=metric, kind=NightKind.RELEASE, night="2026-11-23", change=change,
        verdict=verdict,
    )  # fmt: skip


def test_a_lost_tenth_of_speed_is_told_before_more_memory() -> None:
    members = [_member("graph_memory", 0.53), _member("itl_p99", 0.1), _member("itl_p50", 0.04)]
    assert moves(members) == "itl_p99 +10.0 %, itl_p50 +4.0 %, graph_memory +53.0 %"


def test_what_got_better_comes_last() -> None:
    members = [_member("ttft_p50", -0.5, Verdict.IMPROVEMENT), _member("weight_memory", 0.02)]
    assert moves(members) == "weight_memory +2.0 %, ttft_p50 -50.0 %"


def test_a_metric_is_told_once_with_its_largest_change() -> None:
    members = [_member("itl_p50", change) for change in (0.04, 0.09)]
    assert moves(members) == "itl_p50 +9.0 %"
