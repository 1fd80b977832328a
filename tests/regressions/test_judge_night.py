"""A night is judged from what is recorded, and what it lacks is said."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from regressions.night import judge_night
from regressions.policy import Policy
from schema.judgements import Judgement, Verdict
from schema.nights import Night, NightKind
from schema.store.judgements import judgements
from schema.store.launches import record
from schema.store.nights import UnknownNight, record_night
from schema.trials import Arm, Build, Launch, Trial, TrialState

RELEASE = "2026-11-22-release-vllm-0.32.0-vs-0.31.0"
NOISE = [1.0, 1.004, 0.997, 1.002, 0.999, 1.001, 0.998]
OLD, NEW = Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER

Launches = Callable[..., None]


@pytest.fixture
def release(session: Session, make_night: Callable[..., Night]) -> Night:
    plan = make_night(RELEASE, kind=NightKind.RELEASE, baselines=("vllm==0.31.0",))
    record_night(session, plan)
    return plan


@pytest.fixture
def launched(
    session: Session,
    make_launch: Callable[..., Launch],
    make_trial: Callable[..., Trial],
    make_build: Callable[[str], Build],
) -> Launches:
    """Records launches of all cells in which `factor` scales itl; with a state, none is valid."""

    def launches(
        night: Night,
        arm: Arm,
        factor: float = 1.0,
        *,
        count: int = 5,
        state: TrialState | None = None,
        not_estimable: dict[str, str] | None = None,
        **overrides: object,
    ) -> None:
        overrides["build"] = make_build("0.31.0" if arm is OLD else "0.32.0")
        for replicate in range(count):
            itl = 0.01 * factor * NOISE[replicate]
            facts: dict[str, object] = {"state": state}
            if state is None:
                measurements = {"itl_p50": itl, "weight_memory": 2.0**30}
                facts = {"measurements": measurements, "not_estimable": not_estimable or {}}
            trials = tuple(make_trial(cell, **facts) for cell in night.cells)
            place = {"night": night.name, "arm": arm, "replicate": replicate}
            record(session, make_launch(trials=trials, **place, **overrides))

    return launches


def by_metric(judged: list[Judgement], night: Night) -> dict[str, Judgement]:
    first = night.cells[0].key
    return {one.comparison.metric: one for one in judged if one.comparison.cell == first}


def test_a_release_is_set_against_its_baseline_of_the_same_night(
    session: Session, release: Night, launched: Launches, policy: Policy
) -> None:
    launched(release, OLD)
    launched(release, NEW, 1.1)
    judged = judge_night(session, RELEASE, policy)
    found = by_metric(judged, release)
    assert found["itl_p50"].verdict is Verdict.REGRESSION
    assert found["itl_p50"].comparison.change == pytest.approx(0.1, abs=0.01)
    assert found["weight_memory"].verdict is Verdict.NO_CHANGE
    assert set(found) == {"itl_p50", "weight_memory"}
    assert len(judged) == 4
    assert {one.comparison.key for one in judgements(session, RELEASE)} == {
        one.comparison.key for one in judged
    }


def test_judging_twice_changes_nothing(
    session: Session, release: Night, launched: Launches, policy: Policy
) -> None:
    launched(release, OLD)
    launched(release, NEW, 1.1)
    first = judge_night(session, RELEASE, policy)
    assert judge_night(session, RELEASE, policy) == first
    assert len(judgements(session, RELEASE)) == len(first)


def test_a_nightly_is_set_against_the_nights_before(
    session: Session, make_night: Callable[..., Night], launched: Launches, policy: Policy
) -> None:
    nights = [make_night(f"2026-11-{day}") for day in (19, 20, 21, 22)]
    for night in nights:
        record_night(session, night)
        launched(night, Arm.NIGHTLY, 1.1 if night is nights[-1] else 1.0, count=4)
    found = by_metric(judge_night(session, "2026-11-22", policy), nights[-1])
    assert found["itl_p50"].verdict is Verdict.REGRESSION
    assert len(found["itl_p50"].comparison.baseline.values) == 12
    first = by_metric(judge_night(session, "2026-11-19", policy), nights[0])
    assert first["output_throughput"].verdict is Verdict.INCONCLUSIVE
    expected = "no valid baseline trial: no earlier night measured this cell"
    assert first["output_throughput"].reason == expected


def test_a_cell_whose_contender_died_says_so_in_one_row(
    session: Session, release: Night, launched: Launches, policy: Policy
) -> None:
    launched(release, OLD)
    launched(release, NEW, state=TrialState.FAILED)
    judged = judge_night(session, RELEASE, policy)
    assert len(judged) == len(release.cells)
    assert {one.verdict for one in judged} == {Verdict.INCONCLUSIVE}
    assert judged[0].reason == "no valid contender trial: 5 failed, the engine died"
    assert judged[0].comparison.p is None
    assert len(judged[0].comparison.warnings) == 1


def test_a_night_without_trials_is_undecided(
    session: Session, release: Night, policy: Policy
) -> None:
    reasons = {one.reason for one in judge_night(session, RELEASE, policy)}
    expected = "no valid baseline trial: none was made; no valid contender trial: none was made"
    assert reasons == {expected}


def test_what_trials_could_not_estimate_is_undecided_with_their_reason(
    session: Session, release: Night, launched: Launches, policy: Policy
) -> None:
    launched(release, OLD)
    launched(release, NEW, not_estimable={"itl_p99": "400 gaps, 1000 are needed"})
    found = by_metric(judge_night(session, RELEASE, policy), release)["itl_p99"]
    assert found.verdict is Verdict.INCONCLUSIVE
    expected = "not estimable in 5 trials of the contender: 400 gaps, 1000 are needed"
    assert found.reason == expected


def test_a_change_of_host_is_named(
    session: Session,
    release: Night,
    launched: Launches,
    make_launch: Callable[..., Launch],
    policy: Policy,
) -> None:
    launched(release, OLD)
    host = make_launch().host.model_copy(update={"driver": "575.57", "cards": ()})
    launched(release, NEW, host=host)
    [warning] = judge_night(session, RELEASE, policy)[0].comparison.warnings
    assert warning.code == "host-changed"
    expected = "baseline and contender differ in host: cards; driver 570.86 → 575.57"
    assert warning.text == expected


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((), (), "which packages is not known"),
        (
            ("numpy==2.3", "starlette==0.48.0", "vllm==0.32.0"),
            ("numpy==2.3", "starlette==0.49.1", "triton==3.7", "vllm==0.32.0"),
            "starlette 0.48.0 → 0.49.1, with triton 3.7",
        ),
        (
            ("a==1", "b==1", "c==1", "d==1"),
            ("a==2", "b==2", "c==2"),
            "a 1 → 2, b 1 → 2 and 2 more",
        ),
    ],
)
def test_other_packages_beside_the_same_release_are_named(
    before: tuple[str, ...],
    now: tuple[str, ...],
    said: str,
    session: Session,
    release: Night,
    launched: Launches,
    make_launch: Callable[..., Launch],
    make_trial: Callable[..., Trial],
    make_build: Callable[[str], Build],
    policy: Policy,
) -> None:
    launched(release, OLD)
    trials = tuple(make_trial(cell, measurements={"itl_p50": 0.01}) for cell in release.cells)
    for replicate, packages in enumerate((before, now)):
        told = {"digest": f"sha256:{replicate}", "packages": packages}
        build = make_build("0.32.0").model_copy(update=told)
        place = {"night": RELEASE, "arm": NEW, "replicate": replicate}
        record(session, make_launch(trials=trials, build=build, **place))
    warning, *_ = judge_night(session, RELEASE, policy)[0].comparison.warnings
    assert warning.code == "environment-changed"
    assert warning.text == f"vllm 0.32.0 ran in 2 environments: {said}"


def test_an_unknown_night_is_refused(session: Session, policy: Policy) -> None:
    with pytest.raises(UnknownNight):
        judge_night(session, "2026-01-01", policy)
