"""The one sentence of a night."""

from collections.abc import Sequence

import pytest

from dashboard.overview import overview, shared_parts, short_names
from dashboard.sentences import further_warnings, overlap, unchanged_line
from dashboard.units import MINUS, NONE
from schema.episodes import Attribution, Cause, Episode, EpisodeState, Member, Transition
from schema.judgements import Comparison, Judgement, Side, Verdict, Warning
from schema.nights import NightKind
from schema.trials import TrialState

NAMES = {"a": "mixtral closed-4", "b": "llama closed-4"}
RAN = {TrialState.VALID: 20}
SIDE = Side(builds=("x",), trials=("t",), values=(1.0,), median=1.0)


def _judgement(verdict: Verdict, cell: str, metric: str, change: float = 0.0) -> Judgement:
    found = Comparison(
        night="2026-11-21", cell=cell, metric=metric, baseline=SIDE, contender=SIDE,
        change=change, confidence=0.95,
    )  # fmt: skip
    return Judgement(comparison=found, verdict=verdict, reason=f"{verdict} of {cell}", policy="p")


WORSE = _judgement(Verdict.REGRESSION, "a", "itl_p50", 0.08)
HEAVIER = _judgement(Verdict.REGRESSION, "b", "gpu_memory_peak", 0.02)
TAIL = _judgement(Verdict.REGRESSION, "a", "tail_ratio_itl", 0.15)
BETTER = _judgement(Verdict.IMPROVEMENT, "b", "ttft_p50", -0.1)
SAME = _judgement(Verdict.NO_CHANGE, "a", "e2e_p50")
OPEN = _judgement(Verdict.INCONCLUSIVE, "b", "ttft_p90")


@pytest.mark.parametrize(
    ("judgements", "headline"),
    [
        ([WORSE, SAME, BETTER], "1 of 2 cells got slower: mixtral closed-4 (itl_p50 +8.0 %)"),
        (
            [HEAVIER, TAIL, WORSE],
            "1 of 2 cells got slower: mixtral closed-4 (itl_p50 +8.0 %); worse besides: "
            "tail_ratio_itl +15.0 %, gpu_memory_peak +2.0 %",
        ),
        ([HEAVIER, SAME], "1 of 2 cells got worse: llama closed-4 (gpu_memory_peak +2.0 %)"),
        ([BETTER, SAME], None),
        ([SAME, OPEN], "Nothing got worse; 1 comparison is undecided"),
        ([SAME], "Nothing got worse"),
        ([OPEN], "Nothing could be decided"),
        ([], "Not judged yet"),
    ],
)
def test_the_headline_says_the_worst_first(
    judgements: Sequence[Judgement], headline: str | None
) -> None:
    seen = overview(judgements, names=NAMES, trials=RAN).headline
    expected = headline or "Nothing got worse; 1 of 2 cells improved: llama closed-4"
    assert seen.startswith(expected)


def _episode(metric: str) -> Episode:
    cause = Cause(
        attribution=Attribution.BUILD, subject="vllm", reasons=("r",),
        builds=("vllm 0.31.0", "vllm 0.32.0"), nights=("2026-11-18", "2026-11-19"),
    )  # fmt: skip
    member = Member(
        cell="a", metric=metric, kind=NightKind.NIGHTLY, night="2026-11-19", change=0.08,
        verdict=Verdict.REGRESSION,
    )  # fmt: skip
    opened = Transition(night="2026-11-19", state=EpisodeState.CONFIRMED, reason="r", cause=cause)
    return Episode(key="k", members=(member,), history=(opened,))


def test_what_an_older_episode_holds_is_no_news() -> None:
    seen = overview([WORSE, SAME], names=NAMES, trials=RAN, older=[_episode("itl_p50")])
    assert (seen.worse, seen.known) == ((), (WORSE,))
    expected = "Nothing new got worse; still open: vllm 0.31.0 → 0.32.0 (confirmed)"
    assert (seen.headline, seen.tone) == (expected, Verdict.INCONCLUSIVE)


def test_what_no_older_episode_holds_is_news() -> None:
    seen = overview([WORSE, SAME], names=NAMES, trials=RAN, older=[_episode("e2e_p50")])
    assert seen.worse == (WORSE,)
    assert seen.headline.startswith("1 of 2 cells got slower")
    assert seen.headline.endswith("still open: vllm 0.31.0 → 0.32.0 (confirmed)")
    assert seen.tone == Verdict.REGRESSION


def test_a_night_without_trials_is_red() -> None:
    seen = overview([], names=NAMES, trials={TrialState.VALID: 0})
    assert (seen.headline, seen.tone) == ("Nothing ran", TrialState.FAILED)


def test_a_night_that_only_counted_experts_waits_for_no_verdict() -> None:
    assert overview([], names=NAMES, trials=RAN).headline == "Not judged yet"
    seen = overview([], names=NAMES, trials=RAN, is_timed=False)
    assert seen.headline == "Experts were counted; nothing was timed"
    assert seen.tone == Verdict.NO_CHANGE
    failed = overview([], names=NAMES, trials={TrialState.FAILED: 1}, is_timed=False)
    assert failed.headline == "Nothing could be measured: no trial is valid"


def test_a_night_of_failures_measured_nothing() -> None:
    seen = overview([OPEN], names=NAMES, trials={TrialState.FAILED: 3})
    assert seen.headline == "Nothing could be measured: no trial is valid"


def test_a_cell_is_named_with_its_largest_change() -> None:
    tail = _judgement(Verdict.REGRESSION, "a", "itl_p90", 0.3)
    assert "itl_p90 +30.0 %" in overview([WORSE, tail], names=NAMES, trials=RAN).headline


def test_a_slower_cell_comes_before_one_that_takes_more_memory() -> None:
    heavy = _judgement(Verdict.REGRESSION, "b", "graph_memory", 0.53)
    seen = overview([heavy, WORSE], names=NAMES, trials=RAN)
    assert [own.comparison.cell for own in seen.worse] == ["a", "b"]


def test_rows_of_one_cell_stay_together() -> None:
    tail = _judgement(Verdict.REGRESSION, "b", "itl_p90", 0.3)
    seen = overview([WORSE, tail, HEAVIER], names=NAMES, trials=RAN)
    assert [own.comparison.cell for own in seen.worse] == ["b", "b", "a"]


def test_metrics_with_one_reason_are_one_row() -> None:
    other = _judgement(Verdict.INCONCLUSIVE, "b", "ttft_p50")
    (row,) = overview([OPEN, other], names=NAMES, trials=RAN).undecided
    assert row.metrics == ("ttft_p50", "ttft_p90")


def test_what_did_not_change_says_how_much_of_it_is_noise() -> None:
    noisy = Warning(code="wide-interval", text="only a change of about 9 % would have been seen")
    found = SAME.comparison.model_copy(update={"warnings": (noisy,)})
    assert unchanged_line([SAME]) == "No change: 1 comparison"
    assert unchanged_line([SAME, SAME.model_copy(update={"comparison": found})]) == (
        "No change: 2 comparisons; 1 of them too noisy to show every change that matters"
    )


def test_a_change_that_was_seen_needs_no_word_on_what_would_have_been() -> None:
    noisy = Warning(code="wide-interval", text="only a change of about 9 % would have been seen")
    found = SAME.comparison.model_copy(update={"warnings": (noisy,)})
    assert further_warnings(found, WORSE) == []
    assert further_warnings(found, SAME) == [noisy.text]


def test_short_names_keep_what_tells_cells_apart() -> None:
    slugs = {
        "a": "vllm/mixtral/bf16/h100/tp1/closed-4",
        "b": "vllm/mixtral/bf16/h100/tp1/open-3",
    }
    assert short_names(slugs) == {"a": "closed-4", "b": "open-3"}
    assert shared_parts(slugs) == ("vllm", "mixtral", "bf16", "h100", "tp1")


def test_a_lone_cell_is_named_by_model_and_workload() -> None:
    assert short_names({"a": "vllm/mixtral/bf16/h100/tp1/open-3"}) == {"a": "mixtral open-3"}


def test_no_two_cells_get_one_name() -> None:
    slugs = {"0123456789": "vllm/mixtral/open-3", "9876543210": "vllm/mixtral/open-3"}
    assert short_names(slugs | {"a": "vllm/mixtral/closed-4"}) == {
        "0123456789": "open-3 (01234567)",
        "9876543210": "open-3 (98765432)",
        "a": "closed-4",
    }


@pytest.mark.parametrize(
    ("baseline", "contender", "told"),
    [
        ((1.0, 2.0), (3.0, 4.0), "+1.00: the contender is higher in 100 % of the pairs"),
        ((1.0, 4.0), (0.5, 2.0), "-0.50: the contender is higher in 25 % of the pairs"),
        ((1.0,), (1.0,), "+0.00: the contender is higher in 50 % of the pairs"),
        ((), (1.0,), NONE),
    ],
)
def test_the_overlap_of_two_sides_is_a_share_of_their_pairs(
    baseline: tuple[float, ...], contender: tuple[float, ...], told: str
) -> None:
    sides = {
        name: SIDE.model_copy(update={"values": values})
        for name, values in (("baseline", baseline), ("contender", contender))
    }
    assert overlap(WORSE.comparison.model_copy(update=sides)).replace(MINUS, "-") == told
