"""Plans: both sides alike, nothing left out."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.planning import plan_confirmation, plan_nightly, plan_release
from schema.cells import Family
from schema.confirmations import Confirmation
from schema.matrix import load_matrix
from schema.nights import Night, PlannedLaunch
from schema.trials import Arm, BuildSpec

DEMO = load_matrix("demo")
OLD, NEW = BuildSpec.parse("vllm==0.31.0"), BuildSpec.parse("vllm==0.32.0")
BASELINE, CONTENDER = Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER


def _release(launches: int) -> tuple[Night, list[PlannedLaunch]]:
    return plan_release(
        DEMO, DEMO.cells, name="2026-11-22", contender=NEW, baseline=OLD, launches=launches
    )


def _of(planned: list[PlannedLaunch], family: Family) -> list[PlannedLaunch]:
    return [one for one in planned if one.cells[0].family == family]


@pytest.mark.parametrize("family", DEMO.families())
def test_a_release_is_interleaved_abba_within_each_family(family: Family) -> None:
    arms = [one.arm for one in _of(_release(4)[1], family)]
    abba = [BASELINE, CONTENDER, CONTENDER, BASELINE]
    assert arms == abba + abba


@given(st.integers(min_value=1, max_value=12))
def test_both_sides_get_the_same_number_of_launches_of_every_cell(launches: int) -> None:
    night, planned = _release(launches)
    counts = Counter((one.arm, cell) for one in planned for cell in one.cells)
    assert counts == dict.fromkeys(
        [(arm, cell) for arm in (BASELINE, CONTENDER) for cell in night.cells], launches
    )
    assert night.launches == len(planned)


@given(st.integers(min_value=2, max_value=12).filter(lambda count: count % 2 == 0))
def test_a_steady_drift_meets_both_sides_alike(launches: int) -> None:
    """Positions stand for time: their sums are equal when the number of launches is even."""
    planned = _of(_release(launches)[1], DEMO.cells[0].family)
    at = {
        arm: sum(position for position, one in enumerate(planned) if one.arm is arm)
        for arm in (BASELINE, CONTENDER)
    }
    assert at[BASELINE] == at[CONTENDER]


def test_a_pair_of_launches_draws_the_same_requests() -> None:
    _, planned = _release(3)
    for family in DEMO.families():
        sides = [
            [one.replicate for one in _of(planned, family) if one.arm is arm]
            for arm in (BASELINE, CONTENDER)
        ]
        assert sides == [[0, 1, 2], [0, 1, 2]]


def test_every_planned_launch_has_a_key_of_its_own() -> None:
    _, planned = _release(5)
    assert len({one.key for one in planned}) == len(planned) == 20


def test_a_release_without_cells_of_its_engine_is_refused() -> None:
    sglang = BuildSpec.parse("sglang==0.5.0")
    with pytest.raises(ValueError, match="no cell of matrix demo runs on sglang"):
        plan_release(
            DEMO, DEMO.cells, name="2026-11-22", contender=sglang, baseline=sglang, launches=1
        )


def test_a_nightly_measures_every_cell_as_often_as_its_matrix_says() -> None:
    night, planned = plan_nightly(DEMO, [NEW], name="2026-11-22")
    counts = Counter(cell for one in planned for cell in one.cells)
    assert counts == dict.fromkeys(DEMO.cells, DEMO.launches)
    assert (night.baselines, night.launches) == ((), len(planned))


@pytest.mark.parametrize(
    ("builds", "why"),
    [
        ([OLD, NEW], "one build an engine: vllm==0.31.0, vllm==0.32.0"),
        ([], "no cell of matrix demo runs on no engine"),
    ],
)
def test_a_nightly_of_ambiguous_or_absent_builds_is_refused(
    builds: list[BuildSpec], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        plan_nightly(DEMO, builds, name="2026-11-22")


def _pinned(*builds: str) -> tuple[Night, list[PlannedLaunch]]:
    control = tuple(map(BuildSpec.parse, builds))
    return plan_nightly(DEMO.model_copy(update={"control": control}), [NEW], name="2026-11-22")


@pytest.mark.parametrize("family", DEMO.families())
def test_a_pinned_build_takes_turns_with_tonights(family: Family) -> None:
    night, planned = _pinned("vllm==0.30.0")
    arms = [one.arm for one in _of(planned, family)]
    assert arms[:4] == [Arm.NIGHTLY, Arm.CONTROL, Arm.CONTROL, Arm.NIGHTLY]
    assert {str(one.build) for one in planned if one.arm is Arm.CONTROL} == {"vllm==0.30.0"}
    assert (
        night.launches == len(planned) == 2 * len(plan_nightly(DEMO, [NEW], name="2026-11-22")[1])
    )
    assert night.contenders == ("vllm==0.32.0",)


def test_a_pinned_build_of_an_engine_that_does_not_run_tonight_stays_out() -> None:
    assert _pinned("sglang==0.5.0")[1] == plan_nightly(DEMO, [NEW], name="2026-11-22")[1]


NIGHTLY, _ = plan_nightly(DEMO, [NEW], name="2026-11-22")


def _confirmation(cell: int, launches: int, episode: str = "e") -> Confirmation:
    return Confirmation(
        night=NIGHTLY.name, episode=episode, cell=DEMO.cells[cell].key,
        builds=(str(OLD), str(NEW)), launches=launches, reason="5 v 5 launches",
    )  # fmt: skip


@given(st.lists(st.integers(0, 12), min_size=len(DEMO.cells), max_size=len(DEMO.cells)))
def test_confirmations_are_interleaved_abba_with_as_many_launches_of_each_build(
    launches: list[int],
) -> None:
    asked = [_confirmation(cell, count) for cell, count in enumerate(launches)]
    planned = plan_confirmation(NIGHTLY, asked)
    for cell, count in zip(DEMO.cells, launches, strict=True):
        own = [one for one in planned if one.cells == (cell,)]
        abba = [Arm.CONFIRM_BASELINE, Arm.CONFIRM_CONTENDER] * 2
        abba[2:] = abba[1::-1]
        assert [one.arm for one in own] == (abba * count)[: 2 * count]
        assert [one.replicate for one in own] == [at for at in range(count) for _ in range(2)]
        assert {(one.arm, one.build) for one in own} <= set(zip(abba, (OLD, NEW), strict=False))
    assert len({one.key for one in planned}) == len(planned) == 2 * sum(launches)


def test_confirmations_come_one_after_the_other_in_their_order() -> None:
    planned = plan_confirmation(NIGHTLY, [_confirmation(2, 2), _confirmation(0, 1)])
    assert [DEMO.cells.index(one.cells[0]) for one in planned] == [2, 2, 2, 2, 0, 0]


def test_a_cell_that_two_episodes_share_is_launched_once() -> None:
    both = [_confirmation(1, 3), _confirmation(1, 3, episode="f")]
    assert plan_confirmation(NIGHTLY, both) == plan_confirmation(NIGHTLY, both[:1])


def test_what_is_not_confirmed_launches_nothing() -> None:
    why = Confirmation(night=NIGHTLY.name, episode="e", reason="not confirmed: budget spent")
    assert plan_confirmation(NIGHTLY, [why]) == ()
