"""What is confirmed: the most severe first, within the budget, and never without a word why not."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regressions.confirmation_plan import Means, confirmations, launches_needed
from regressions.policy import ConfirmRules, Policy, read_policy
from schema.cells import Cell
from schema.confirmations import Confirmation
from schema.episodes import (
    Attribution,
    Cause,
    Episode,
    EpisodeState,
    Member,
    Transition,
)
from schema.judgements import Verdict
from schema.nights import Night, NightKind
from stats.rank_test import trials_needed

NIGHT = "2026-11-22"
POLICY = read_policy()
LEAST = trials_needed(POLICY.alpha)


@dataclass(frozen=True)
class Suspected:
    """An episode to be."""

    cells: tuple[int, ...] = (0,)
    change: float = 0.1
    good: str = "vllm 0.31.0"
    state: EpisodeState = EpisodeState.SUSPECTED
    verdict: Verdict = Verdict.REGRESSION


def _episode(key: str, own: Suspected, cells: tuple[Cell, ...]) -> Episode:
    cause = Cause(
        attribution=Attribution.UNKNOWN, subject="vllm on cpu", reasons=("nobody saw it",),
        builds=(own.good, "vllm 0.32.0"), nights=("2026-11-21", NIGHT),
    )  # fmt: skip
    members = tuple(
        Member(
            cell=cells[at].key, metric="itl_p50", kind=NightKind.NIGHTLY, night=NIGHT,
            change=own.change, verdict=own.verdict,
        )
        for at in own.cells
    )  # fmt: skip
    opened = Transition(night=NIGHT, state=own.state, reason="it moved", cause=cause)
    return Episode(key=key, members=members, history=(opened,))


Planned = Callable[..., tuple[Confirmation, ...]]


@pytest.fixture
def nightly(make_night: Callable[..., Night], make_cell: Callable[..., Cell]) -> Night:
    cells = tuple(make_cell(f"load-{at}") for at in range(6))
    return make_night(NIGHT, cells=cells, contenders=("vllm==0.32.0",))


def _policy(budget: float, most: int = 10) -> Policy:
    rules = ConfirmRules(gpu_minutes=budget, launches=most)
    return POLICY.model_copy(update={"confirm": rules})


@pytest.fixture
def plan(nightly: Night) -> Planned:
    """Confirmations of these suspicions, one launch of each cell taking `minutes`."""

    def make(
        *asked: Suspected, budget: float = 120, minutes: float | None = 1.0, scatter: float = 0.01
    ) -> tuple[Confirmation, ...]:
        keys = [cell.key for cell in nightly.cells]
        means = Means(
            minutes={} if minutes is None else dict.fromkeys(keys, minutes),
            scatter={(key, "itl_p50"): scatter for key in keys},
            policy=_policy(budget),
        )
        found = [_episode(f"e{at}", own, nightly.cells) for at, own in enumerate(asked)]
        return confirmations(found, nightly, means)

    return make


def test_nothing_suspected_plans_nothing(plan: Planned) -> None:
    known = [Suspected(state=state) for state in EpisodeState if state != "suspected"]
    better = Suspected(change=-0.1, verdict=Verdict.IMPROVEMENT)
    assert plan(*known, better) == ()


def test_a_suspicion_is_confirmed_on_one_cell_with_both_builds(
    plan: Planned, nightly: Night
) -> None:
    [one] = plan(Suspected(cells=(1, 2)))
    assert one.cell in {nightly.cells[1].key, nightly.cells[2].key}
    assert one.builds == ("vllm==0.31.0", "vllm==0.32.0")
    assert (one.launches, one.gpu_minutes) == (LEAST, 2.0 * LEAST)
    assert one.reason == (
        "5 v 5 launches of vllm==0.31.0 and vllm==0.32.0 in turns; about 10 GPU-minutes"
    )


def test_what_does_not_fit_says_what_spent_the_budget(plan: Planned) -> None:
    severe, mild = plan(Suspected((0,), 0.06), Suspected((1,), 0.5), budget=15)
    assert (severe.episode, severe.launches > 0) == ("e1", True)
    assert (mild.episode, mild.launches, mild.gpu_minutes) == ("e0", 0, 0.0)
    assert mild.reason == (
        "not confirmed: budget of 15 GPU-minutes spent, 10 of them on what is more severe; "
        "5 v 5 launches take about 10"
    )


def test_what_comes_cheaper_than_what_did_not_fit_is_still_confirmed(nightly: Night) -> None:
    dear, cheap = nightly.cells[0].key, nightly.cells[1].key
    means = Means(minutes={dear: 50, cheap: 1}, scatter={}, policy=_policy(30))
    asked = [Suspected((0,), 0.5), Suspected((1,), 0.1)]
    found = [_episode(f"e{at}", own, nightly.cells) for at, own in enumerate(asked)]
    first, second = confirmations(found, nightly, means)
    assert first.reason.startswith("not confirmed: budget of 30 GPU-minutes is too small: ")
    assert second.cell == cheap


def test_fewer_launches_than_wished_are_made_as_long_as_they_can_decide(plan: Planned) -> None:
    [one] = plan(Suspected(change=0.05), budget=14, scatter=0.05)
    assert one.launches == 7
    assert "10 v 10 would decide more surely, beyond the budget" in one.reason


def test_the_same_build_on_both_sides_is_no_comparison(plan: Planned) -> None:
    [one] = plan(Suspected(good="vllm 0.32.0"))
    assert one.launches == 0
    assert "is the last good build and tonight's" in one.reason


def test_without_a_launch_to_go_by_nothing_is_promised(plan: Planned) -> None:
    [one] = plan(Suspected(), minutes=None)
    assert (one.launches, one.cell) == (0, None)
    assert "no cell of it is free that tonight's launches measured" in one.reason


def test_two_suspicions_in_one_cell_share_its_launches(plan: Planned) -> None:
    first, second = plan(Suspected((0,), 0.5), Suspected((0, 1), 0.2))
    assert (second.cell, second.launches, second.gpu_minutes) == (first.cell, first.launches, 0.0)
    assert "measured with episode e0" in second.reason


def test_one_cell_is_never_measured_for_two_pairs_of_builds(plan: Planned) -> None:
    first, second = plan(Suspected((0,), 0.5), Suspected((0, 1), 0.2, good="vllm 0.30.0"))
    assert first.cell != second.cell
    assert second.builds == ("vllm==0.30.0", "vllm==0.32.0")


suspicions = st.builds(
    Suspected,
    cells=st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(tuple),
    change=st.floats(0.01, 3.0),
    good=st.sampled_from(["vllm 0.30.0", "vllm 0.31.0", "vllm 0.32.0"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # they make words only
@given(
    asked=st.lists(suspicions, max_size=6),
    budget=st.floats(0, 400),
    minutes=st.lists(st.floats(0.1, 60), min_size=6, max_size=6),
    scatter=st.floats(0, 0.2),
)
def test_the_budget_is_never_exceeded_and_everybody_gets_an_answer(
    asked: list[Suspected],
    budget: float,
    minutes: list[float],
    scatter: float,
    make_night: Callable[..., Night],
    make_cell: Callable[..., Cell],
) -> None:
    cells = tuple(make_cell(f"load-{at}") for at in range(6))
    nightly = make_night(NIGHT, cells=cells, contenders=("vllm==0.32.0",))
    means = Means(
        minutes={cell.key: taken for cell, taken in zip(cells, minutes, strict=True)},
        scatter={(cell.key, "itl_p50"): scatter for cell in cells},
        policy=_policy(budget),
    )
    episodes = [_episode(f"e{at}", own, cells) for at, own in enumerate(asked)]
    found = confirmations(episodes, nightly, means)
    assert sorted(one.episode for one in found) == sorted(one.key for one in episodes)
    launched = {one.cell: one for one in found if one.launches}
    spent = sum(2 * one.launches * means.minutes[cell] for cell, one in launched.items() if cell)
    assert spent <= budget * (1 + 1e-9)
    assert spent == pytest.approx(sum(one.gpu_minutes for one in found))
    least = trials_needed(min(POLICY.alpha, POLICY.q / max(1, len(asked))))  # a family of so many
    assert all(least <= one.launches <= max(least, 10) for one in launched.values())
    assert all(one.launches or one.reason.startswith("not confirmed: ") for one in found)


@given(change=st.floats(0.01, 1.0), scatter=st.floats(0.001, 0.2))
def test_more_noise_or_a_smaller_change_never_needs_fewer_launches(
    change: float, scatter: float
) -> None:
    member = _member(change)
    own = launches_needed(member, scatter, POLICY.alpha, 10)
    assert own >= launches_needed(_changed(member, change * 1.5), scatter, POLICY.alpha, 10)
    assert own >= launches_needed(member, scatter / 1.5, POLICY.alpha, 10)


def _member(change: float) -> Member:
    return Member(
        cell="c", metric="itl_p50", kind=NightKind.NIGHTLY, night=NIGHT, change=change,
        verdict=Verdict.REGRESSION,
    )  # fmt: skip


def _changed(member: Member, change: float) -> Member:
    return member.model_copy(update={"change": change})
