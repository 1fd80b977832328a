"""What is judged and told to nobody: the control arm, and a policy in shadow."""

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy.orm import Session

from regressions.night import judge_night
from regressions.policy import SHADOW_POLICY, Policy, read_shadow_policy
from regressions.silent import judge_in_shadow
from schema.documents import BadDocument
from schema.hosts import Host
from schema.judgements import Verdict
from schema.nights import Night
from schema.store.episodes import episodes
from schema.store.judgements import judgements
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.silent import control_verdicts, shadows, two_verdicts
from schema.trials import Arm, Build, Launch, Trial

NIGHTS = [f"2026-11-{day}" for day in range(10, 16)]
LAST = NIGHTS[-1]


@pytest.fixture
def measured(
    session: Session,
    make_night: Callable[..., Night],
    make_trial: Callable[..., Trial],
    make_launch: Callable[..., Launch],
    make_build: Callable[[str], Build],
) -> Callable[..., None]:
    """Six nights of four launches an arm. On the last one `nightly` and `control` scale itl."""

    def nights(nightly: float = 1.0, control: float = 1.0, **of_the_last: object) -> None:
        random = np.random.default_rng(5)
        for name in NIGHTS:
            plan = make_night(name, launches=8)
            record_night(session, plan)
            for arm, factor in ((Arm.NIGHTLY, nightly), (Arm.CONTROL, control)):
                for replicate in range(4):
                    itl = 0.01 * random.normal(1, 0.005) * (factor if name == LAST else 1.0)
                    trials = tuple(
                        make_trial(cell, measurements={"itl_p50": itl}, not_estimable={})
                        for cell in plan.cells
                    )
                    place = {"night": name, "arm": arm, "replicate": replicate}
                    facts = {"build": make_build("0.31.0")} | (of_the_last if name == LAST else {})
                    record(session, make_launch(trials=trials, **place | facts))

    return nights


def of_last_night(session: Session, policy: Policy) -> set[Verdict]:
    return {one.verdict for one in control_verdicts(session, policy.key) if one.night == LAST}


def test_a_steady_control_arm_raises_no_alarm(
    session: Session, measured: Callable[..., None], policy: Policy
) -> None:
    measured(nightly=1.2)
    judge_night(session, LAST, policy)
    assert of_last_night(session, policy) == {Verdict.NO_CHANGE}
    assert {one.verdict for one in judgements(session, LAST)} == {Verdict.REGRESSION}


def test_a_control_arm_that_moved_on_the_same_host_is_a_false_alarm(
    session: Session, measured: Callable[..., None], policy: Policy
) -> None:
    measured(control=1.2)
    judge_night(session, LAST, policy)
    assert of_last_night(session, policy) == {Verdict.REGRESSION}
    assert {one.verdict for one in judgements(session, LAST)} == {Verdict.NO_CHANGE}


@pytest.mark.parametrize("changed", ["host", "build"])
def test_another_host_or_another_pinned_build_is_no_false_alarm(
    session: Session,
    measured: Callable[..., None],
    make_launch: Callable[..., Launch],
    make_build: Callable[[str], Build],
    policy: Policy,
    changed: str,
) -> None:
    host: Host = make_launch().host.model_copy(update={"driver": "575.57"})
    measured(control=1.2, **{"host": host} if changed == "host" else {"build": make_build("0.30")})
    judge_night(session, LAST, policy)
    assert of_last_night(session, policy) == set()


def test_judging_again_replaces_what_the_control_arm_showed(
    session: Session, measured: Callable[..., None], policy: Policy
) -> None:
    measured(control=1.2)
    judge_night(session, LAST, policy)
    first = control_verdicts(session, policy.key)
    judge_night(session, LAST, policy)
    assert control_verdicts(session, policy.key) == first


def test_a_shadow_judges_under_its_own_hash_and_alerts_nobody(
    session: Session, measured: Callable[..., None], policy: Policy
) -> None:
    measured(nightly=1.02)
    judge_night(session, LAST, policy)
    told, before = judgements(session, LAST), episodes(session)
    keen = policy.model_copy(update={"min_change": policy.min_change | {"itl_p50": 0.01}})
    judge_in_shadow(session, LAST, keen)
    both = two_verdicts(session, keen.key)
    assert {(one.told, one.shadow) for one in both} == {(Verdict.NO_CHANGE, Verdict.REGRESSION)}
    assert {one.night for one in both} == {LAST}
    assert "only 3 % matters" in both[0].told_reason
    assert [(one.policy, one.nights) for one in shadows(session)] == [(keen.key, 1)]
    assert control_verdicts(session, keen.key) != []
    assert judgements(session, LAST) == told
    assert episodes(session) == before == []


def test_shadow_verdicts_are_replaced_and_other_policies_stay(
    session: Session, measured: Callable[..., None], policy: Policy
) -> None:
    measured()
    judge_night(session, LAST, policy)
    keen = policy.model_copy(update={"alpha": 0.05})
    for shadow in (keen, keen, policy.model_copy(update={"alpha": 0.001})):
        judge_in_shadow(session, LAST, shadow)
    assert len(shadows(session)) == 2
    assert len(two_verdicts(session, keen.key)) == len(judgements(session, LAST))


def test_the_shadow_is_named_by_a_setting(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    monkeypatch.delenv(SHADOW_POLICY, raising=False)
    assert read_shadow_policy() is None
    monkeypatch.setenv(SHADOW_POLICY, "default.yaml")
    assert read_shadow_policy() == policy
    monkeypatch.setenv(SHADOW_POLICY, "none.yaml")
    with pytest.raises(BadDocument, match=r"none\.yaml"):
        read_shadow_policy()
