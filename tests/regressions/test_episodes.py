"""Nights in a row and the episodes that they end in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from regressions.night import judge_night, plan_confirmations
from regressions.people import say
from regressions.policy import ConfirmRules, Policy
from schema.cells import Cell, Engine
from schema.columns import Base
from schema.confirmations import Confirmation
from schema.episodes import Attribution, Episode, EpisodeState
from schema.judgements import Verdict
from schema.nights import Night, NightKind
from schema.store.episodes import episodes
from schema.store.judgements import judgements
from schema.store.nights import record_night
from schema.tables import BuildRow, HostRow, LaunchRow, MeasurementRow, TrialRow
from schema.trials import Arm, Build, Launch, Trial

NOISE = (1.0, 1.004, 0.997, 1.002, 0.999, 1.001, 0.998, 1.003, 0.996, 1.005)
LAUNCHES = 4
PINNED = "0.30.0"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a night really was. Factors are of the inter-token latency, by engine or workload."""

    build: str = "0.32.0"
    """Of both engines."""
    contender: Mapping[str, float] = field(default_factory=dict)
    """By engine, workload, or `all`."""
    host: float = 1.0
    """Of whatever runs there, the control arm too."""
    load: str = ""
    """A workload that asks for more than before, of whatever serves it."""
    control: bool = True
    sglang: bool = True
    driver: str = "570.86"
    missing: bool = False
    """Planned, and no trial was made."""


GOOD = Truth()


def slower(by: float = 1.1, **more: object) -> Truth:
    """A build of vLLM that is slower."""
    return replace(Truth(build="0.33.0", contender={"vllm": by}), **more)  # type: ignore[arg-type]


@dataclass(kw_only=True)
class History:
    """Records nights, judges them, tells what came of it."""

    session: Session
    policy: Policy
    make_night: Callable[..., Night]
    make_cell: Callable[..., Cell]
    make_launch: Callable[..., Launch]
    make_trial: Callable[..., Trial]
    make_build: Callable[..., Build]

    def record(self, day: int, truth: Truth) -> str:
        """A nightly of November; its name."""
        name = f"2026-11-{day:02d}"
        engines = (Engine.VLLM, Engine.SGLANG)[: 1 + truth.sglang]
        builds = tuple(f"{engine}=={truth.build}" for engine in Engine)
        record_night(self.session, self.make_night(name, cells=self.cells(), contenders=builds))
        arms = (Arm.NIGHTLY, Arm.CONTROL)[: 1 + truth.control]
        self._keep(
            self._launch(name, arm, engine, replicate, day, truth)
            for engine in engines
            for arm in arms
            for replicate in range(0 if truth.missing else LAUNCHES)
        )
        return name

    def judge(self, name: str) -> None:
        judge_night(self.session, name, self.policy)

    def run(self, nights: Sequence[Truth], first: int = 1) -> list[Episode]:
        """Each night recorded and judged in its turn; the episodes after the last."""
        for at, truth in enumerate(nights):
            self.judge(self.record(first + at, truth))
        return self.episodes()

    def episodes(self) -> list[Episode]:
        return episodes(self.session)

    def say(self, key: str, state: EpisodeState, **more: object) -> Episode:
        facts = {"by": "mira", "reason": "as agreed", **more}
        return say(self.session, key, state=state, **facts)  # type: ignore[arg-type]

    def release(self, contender: str, baseline: str, factor: float, name: str) -> None:
        """A release night on vLLM, five launches a side, judged."""
        night = self.make_night(
            name, kind=NightKind.RELEASE, cells=self.cells()[:2],
            contenders=(f"vllm=={contender}",), baselines=(f"vllm=={baseline}",),
        )  # fmt: skip
        record_night(self.session, night)
        sides = (
            (Arm.RELEASE_BASELINE, Truth(build=baseline)),
            (Arm.RELEASE_CONTENDER, Truth(build=contender, contender={"all": factor})),
        )
        self._both(name, sides)

    def confirm(
        self, name: str, factor: float, host: float = 1.0, driver: str = "570.86", launches: int = 5
    ) -> None:
        """Trials of last good and tonight's build in turns; the night is judged again."""
        good = Truth(host=host, driver=driver)
        slow = replace(good, build="0.33.0", contender={"all": factor})
        sides = ((Arm.CONFIRM_BASELINE, good), (Arm.CONFIRM_CONTENDER, slow))
        self._both(name, sides, launches)

    def plan(self, name: str) -> tuple[Confirmation, ...]:
        """What would be launched to confirm the suspicions of a judged night."""
        return plan_confirmations(self.session, name, self.policy)

    def _both(self, name: str, sides: Sequence[tuple[Arm, Truth]], launches: int = 5) -> None:
        self._keep(
            self._launch(name, arm, Engine.VLLM, replicate, replicate, truth)
            for replicate in range(launches)
            for arm, truth in sides
        )
        self.judge(name)

    def cells(self) -> tuple[Cell, ...]:
        return tuple(
            self.make_cell(workload, engine)
            for engine in Engine
            for workload in ("steady", "burst")
        )

    def _launch(
        self, night: str, arm: Arm, engine: Engine, replicate: int, day: int, truth: Truth
    ) -> Launch:
        build = PINNED if arm is Arm.CONTROL else truth.build
        trials = []
        for cell in (own for own in self.cells() if own.family.engine is engine):
            names = (engine.value, cell.workload.name, "all")
            slow = [truth.contender[one] for one in names if one in truth.contender]
            factor = truth.host * (slow[0] if slow and arm is not Arm.CONTROL else 1.0)
            factor *= 1.1 if cell.workload.name == truth.load else 1.0
            noise = NOISE[(7 * day + 3 * replicate + len(cell.workload.name)) % len(NOISE)]
            trials.append(self.make_trial(cell, measurements={"itl_p50": 0.01 * factor * noise}))
        plain = self.make_launch()
        host = plain.host.model_copy(update={"driver": truth.driver})
        return plain.model_copy(
            update={
                "night": night, "arm": arm, "replicate": replicate, "host": host,
                "build": self.make_build(build, engine), "trials": tuple(trials),
            }
        )  # fmt: skip

    def _keep(self, launches: Iterable[Launch]) -> None:
        """All of a night in a few statements: schema.store.launches.record is tested elsewhere."""
        rows: dict[type[Base], list[dict[str, Any]]] = {
            HostRow: [], BuildRow: [], LaunchRow: [], TrialRow: [], MeasurementRow: [],
        }  # fmt: skip
        for own in launches:
            key, host, build = own.key, own.host.fingerprint, own.build.key
            rows[HostRow].append(own.host.model_dump(mode="json") | {"fingerprint": host})
            rows[BuildRow].append(own.build.model_dump(mode="json") | {"key": build})
            fields = ("night", "arm", "replicate", "attempt", "started_at", "ended_at", "log_tail")
            facts = {name: getattr(own, name) for name in fields}
            empty: dict[str, Any] = {"environment": {}, "effective": {}, "phases_s": {}}
            rows[LaunchRow].append(
                facts | empty | {"key": key, "host": host, "build": build, "command": []}
            )
            for trial in own.trials:
                trial_key = own.trial_key(trial)
                empty = {"checks": [], "server": {}, "not_estimable": {}}
                facts = {"key": trial_key, "launch": key, "cell": trial.cell.key}
                rows[TrialRow].append(facts | empty | {"state": trial.state, "seed": trial.seed})
                for metric, value in trial.measurements.items():
                    row = {"trial": trial_key, "metric": metric, "value": value}
                    rows[MeasurementRow].append(row)
        for table, own_rows in rows.items():
            if own_rows:
                self.session.execute(insert(table).on_conflict_do_nothing(), own_rows)


S = EpisodeState
BUILD, HOST, DRIVER = Attribution.BUILD, Attribution.HOST, Attribution.DRIVER
QUIET = [GOOD] * 4
FIXED = Truth(build="0.33.1")


@pytest.fixture
def history(
    session: Session,
    policy: Policy,
    make_night: Callable[..., Night],
    make_cell: Callable[..., Cell],
    make_launch: Callable[..., Launch],
    make_trial: Callable[..., Trial],
    make_build: Callable[..., Build],
) -> History:
    return History(
        session=session, policy=policy, make_night=make_night, make_cell=make_cell,
        make_launch=make_launch, make_trial=make_trial, make_build=make_build,
    )  # fmt: skip


def states(episode: Episode) -> list[EpisodeState]:
    return [step.state for step in episode.history]


NIGHTS: dict[str, tuple[list[Truth], list[tuple[Attribution, list[EpisodeState]]]]] = {
    "quiet": ([GOOD] * 6, []),
    "a build gets slower": ([*QUIET, slower()], [(BUILD, [S.SUSPECTED])]),
    "and stays so": ([*QUIET, *[slower()] * 4], [(BUILD, [S.SUSPECTED, S.CONFIRMED])]),
    "one night only": ([*QUIET, slower(), FIXED], [(BUILD, [S.SUSPECTED, S.TRANSIENT])]),
    "two nights, then fixed": (
        [*QUIET, slower(), slower(), FIXED, FIXED],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED, S.FIXED])],
    ),
    "fixed, then back": (
        [*QUIET, slower(), slower(), FIXED, FIXED, slower()],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED, S.FIXED, S.SUSPECTED])],
    ),
    "another build each night": (
        [*QUIET, *[slower(build=f"0.33.{at}") for at in range(4)]],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED])],
    ),
    "a night is missing": (
        [*QUIET, slower(), Truth(missing=True), slower()],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED])],
    ),
    "absence is no recovery": (
        [*QUIET, slower(), slower(), *[Truth(missing=True)] * 3],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED])],
    ),
    "the host gets slower": (
        [*QUIET, *[Truth(host=1.1)] * 2],
        [(HOST, [S.SUSPECTED, S.INFRASTRUCTURE])],
    ),
    "both engines, without a control arm": (
        [replace(GOOD, control=False)] * 4 + [Truth(host=1.1, control=False)] * 2,
        [(HOST, [S.SUSPECTED, S.INFRASTRUCTURE])],
    ),
    "a new driver": (
        [*QUIET, *[Truth(host=1.1, driver="575.57")] * 2],
        [(DRIVER, [S.SUSPECTED, S.INFRASTRUCTURE])],
    ),
    "one workload, the control arm too": (
        [*QUIET, *[Truth(load="steady")] * 2],
        [(Attribution.WORKLOAD, [S.SUSPECTED, S.CONFIRMED])],
    ),
    "one workload, and nothing has changed": (
        [*QUIET, Truth(contender={"steady": 1.1})],
        [(Attribution.UNKNOWN, [S.SUSPECTED])] * 2,
    ),
    "no witness at all": (
        [replace(GOOD, control=False, sglang=False)] * 4
        + [slower(control=False, sglang=False)] * 2,
        [(Attribution.UNKNOWN, [S.SUSPECTED, S.CONFIRMED])],
    ),
    "a witness comes later": (
        [replace(GOOD, sglang=False)] * 4
        + [slower(control=False, sglang=False), slower(sglang=False), slower(sglang=False)],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED, S.CONFIRMED])],
    ),
    "two causes at once": (
        [*QUIET, Truth(build="0.33.0", contender={"vllm": 1.3}, host=1.08)],
        [(BUILD, [S.SUSPECTED]), (HOST, [S.SUSPECTED])],
    ),
    "a build gets faster": (
        [*QUIET, *[slower(0.9)] * 4],
        [(BUILD, [S.SUSPECTED, S.EXPECTED])],
    ),
    "faster for one night": ([*QUIET, slower(0.9), GOOD], [(BUILD, [S.SUSPECTED, S.TRANSIENT])]),
    "a further step on top": (
        [*QUIET, *[slower()] * 3, *[slower(1.25, build="0.34.0")] * 2],
        [(BUILD, [S.SUSPECTED, S.CONFIRMED]), (BUILD, [S.SUSPECTED, S.CONFIRMED])],
    ),
}


@pytest.mark.parametrize("name", NIGHTS)
def test_nights_end_in_their_episodes(history: History, name: str) -> None:
    nights, expected = NIGHTS[name]
    found = history.run(nights)
    seen = sorted((one.cause.attribution, states(one)) for one in found)
    assert seen == sorted(expected)


def test_one_episode_has_every_metric_and_cell_that_its_cause_moved(history: History) -> None:
    [found] = history.run([*QUIET, slower(), slower()])
    assert {one.cell for one in found.members} == {one.key for one in history.cells()[:2]}
    assert {one.verdict for one in found.members} == {Verdict.REGRESSION}
    assert found.cause.words == "vllm 0.32.0 → 0.33.0"
    assert found.cause.nights == ("2026-11-04", "2026-11-05")
    assert "the pinned vllm 0.30.0: itl_p50" in found.cause.reasons[1]


def test_the_baseline_stays_the_last_good_level_however_long_it_lasts(history: History) -> None:
    history.policy = history.policy.model_copy(update={"baseline_nights": 3})
    history.run([*QUIET, *[slower()] * 5])
    last = judgements(history.session, "2026-11-09")
    vllm = [one for one in last if one.verdict is Verdict.REGRESSION]
    assert len(vllm) == 2
    assert all(one.comparison.change == pytest.approx(0.1, abs=0.01) for one in vllm)


def test_an_accepted_level_is_the_baseline_and_keeps_the_spread(history: History) -> None:
    [found] = history.run([*QUIET, slower(), slower()])
    history.say(found.key, S.EXPECTED)
    [after] = history.run([slower()], first=7)
    assert states(after) == [S.SUSPECTED, S.CONFIRMED, S.EXPECTED]
    cell = history.cells()[0].key
    [judged] = [j for j in judgements(history.session, "2026-11-07") if j.comparison.cell == cell]
    assert judged.verdict is Verdict.NO_CHANGE
    assert len(judged.comparison.baseline.values) == 6 * 4
    assert "2026-11-05 was accepted" in judged.comparison.warnings[0].text
    spread = max(judged.comparison.baseline.values) / min(judged.comparison.baseline.values)
    assert spread == pytest.approx(1.012, abs=0.003)


def test_a_step_from_an_accepted_level_is_a_new_episode(history: History) -> None:
    [found] = history.run([*QUIET, slower(), slower()])
    history.say(found.key, S.EXPECTED)
    both = history.run([slower(), slower(1.2, build="0.34.0")], first=7)
    assert [one.state for one in both] == [S.EXPECTED, S.SUSPECTED]
    assert both[1].cause.words == "vllm 0.33.0 → 0.34.0"
    assert both[1].members[0].change == pytest.approx(1.2 / 1.1 - 1, abs=0.01)


def test_what_a_person_called_fixed_is_open_again_when_it_is_still_there(history: History) -> None:
    [found] = history.run([*QUIET, slower(), slower()])
    history.say(found.key, S.FIXED)
    [after] = history.run([slower()], first=7)
    assert states(after) == [S.SUSPECTED, S.CONFIRMED, S.FIXED, S.SUSPECTED]
    assert "the same step is back" in after.history[-1].reason


@pytest.mark.parametrize("closed", [S.FIXED, S.TRANSIENT])
def test_the_night_in_which_a_person_closed_it_is_no_baseline(
    history: History, closed: EpisodeState
) -> None:
    [found] = history.run([*QUIET, slower(), slower()])
    history.say(found.key, closed)
    history.run([FIXED], first=7)
    assert _baseline_nights(history, "2026-11-07") == 4


def test_the_night_that_was_seen_back_is_baseline_again(history: History) -> None:
    [found] = history.run([*QUIET, slower(), slower(), FIXED])
    assert found.state is S.FIXED
    history.run([FIXED], first=8)
    assert _baseline_nights(history, "2026-11-08") == 5


def _baseline_nights(history: History, name: str) -> int:
    """Good nights that the first cell was set against."""
    cell = history.cells()[0].key
    [own] = [one for one in judgements(history.session, name) if one.comparison.cell == cell]
    assert max(own.comparison.baseline.values) < 0.0102
    return len(own.comparison.baseline.values) // LAUNCHES


def test_trials_made_to_confirm_decide_in_the_same_night(history: History) -> None:
    history.run([*QUIET, slower()])
    history.confirm("2026-11-05", 1.1)
    assert states(history.episodes()[0]) == [S.SUSPECTED, S.CONFIRMED]


def test_what_does_not_reproduce_is_closed_and_says_so(history: History) -> None:
    history.run([*QUIET, slower()])
    history.confirm("2026-11-05", 1.0)
    [found] = history.episodes()
    assert states(found) == [S.SUSPECTED, S.NOT_REPRODUCED]
    assert "did not show it" in found.history[-1].reason


ALONE = {"control": False, "sglang": False}
"""Nobody but the contender saw the night."""
LONELY = [Truth(control=False, sglang=False)] * 4


def test_builds_that_differ_in_turns_name_the_build(history: History) -> None:
    [found] = history.run([*LONELY, slower(**ALONE)])
    assert found.cause.attribution is Attribution.UNKNOWN
    history.confirm("2026-11-05", 1.1)
    [found] = history.episodes()
    assert (found.state, found.cause.words) == (S.CONFIRMED, "vllm 0.32.0 → 0.33.0")
    assert "both builds ran in turns" in found.cause.reasons[0]


@pytest.mark.parametrize(
    ("driver", "blamed"), [("570.86", Attribution.HOST), ("575.57", Attribution.DRIVER)]
)
def test_a_last_good_build_that_is_slow_as_well_blames_what_it_ran_on(
    history: History, driver: str, blamed: Attribution
) -> None:
    history.run([*LONELY, Truth(build="0.33.0", host=1.1, driver=driver, **ALONE)])
    history.confirm("2026-11-05", 1.0, host=1.1, driver=driver)
    [found] = history.episodes()
    assert (found.state, found.cause.attribution) == (S.INFRASTRUCTURE, blamed)
    assert "the builds do not differ, and vllm 0.32.0 has moved as well" in found.history[-1].reason


def test_a_host_that_the_control_arm_named_is_confirmed_as_such(history: History) -> None:
    [found] = history.run([*QUIET, Truth(build="0.33.0", host=1.1)])
    history.confirm("2026-11-05", 1.0, host=1.1)
    [after] = history.episodes()
    assert (after.key, after.cause) == (found.key, found.cause)
    assert states(after) == [S.SUSPECTED, S.INFRASTRUCTURE]


def test_too_few_trials_leave_a_suspicion_and_say_so(history: History) -> None:
    history.run([*QUIET, slower()])
    history.confirm("2026-11-05", 1.1, launches=3)
    [found] = history.episodes()
    assert states(found) == [S.SUSPECTED, S.SUSPECTED]
    assert "still undecided: itl_p50 least reachable p is 0.10" in found.history[-1].reason


def test_hosts_that_differ_in_turns_decide_nothing(history: History) -> None:
    history.run([*LONELY, slower(**ALONE)])
    good, slow = Truth(), replace(slower(), driver="575.57")
    history._both("2026-11-05", ((Arm.CONFIRM_BASELINE, good), (Arm.CONFIRM_CONTENDER, slow)))
    [found] = history.episodes()
    assert states(found) == [S.SUSPECTED, S.SUSPECTED]
    assert "the two builds ran on hosts that differ" in found.history[-1].reason


def test_what_was_not_confirmed_says_why_in_its_history(history: History) -> None:
    history.policy = history.policy.model_copy(
        update={"confirm": ConfirmRules(gpu_minutes=0, launches=5)}
    )
    history.run([*QUIET, slower()])
    [planned] = history.plan("2026-11-05")
    history.judge("2026-11-05")
    [found] = history.episodes()
    assert states(found) == [S.SUSPECTED, S.SUSPECTED]
    assert found.history[-1].reason == planned.reason
    assert planned.reason.startswith("not confirmed: budget of 0 GPU-minutes is too small")


def test_trials_that_were_planned_and_never_made_are_told(history: History) -> None:
    history.run([*QUIET, slower()])
    [planned] = history.plan("2026-11-05")
    assert planned.launches >= 5
    history.judge("2026-11-05")
    [found] = history.episodes()
    assert found.history[-1].reason.startswith("not confirmed: no trial is valid of 5 v 5 launches")


def test_a_plan_is_made_once_and_kept_whatever_is_judged_since(history: History) -> None:
    history.run([*QUIET, slower()])
    first = history.plan("2026-11-05")
    history.confirm("2026-11-05", 1.1)
    assert history.episodes()[0].state is S.CONFIRMED
    assert history.plan("2026-11-05") == first != ()


def test_a_host_under_two_engines_is_confirmed_with_the_builds_of_one(history: History) -> None:
    history.run([*QUIET, Truth(build="0.33.0", host=1.1)])
    [planned] = history.plan("2026-11-05")
    [measured] = [cell for cell in history.cells() if cell.key == planned.cell]
    engine = measured.family.engine
    assert planned.builds == (f"{engine}==0.32.0", f"{engine}==0.33.0")


def test_a_quiet_night_plans_nothing(history: History) -> None:
    history.run([*QUIET, GOOD])
    assert history.plan("2026-11-05") == ()


def test_trials_made_to_confirm_leave_the_verdicts_of_the_night_alone(history: History) -> None:
    """A comparison's key does not say its arms: only those of the night's kind are kept."""
    history.run([*QUIET, slower()])
    first = judgements(history.session, "2026-11-05")
    history.confirm("2026-11-05", 1.3)
    assert judgements(history.session, "2026-11-05") == first


def test_a_release_and_the_nightly_after_it_are_one_episode(history: History) -> None:
    history.run(QUIET)
    history.release("0.33.0", "0.32.0", 1.1, "2026-11-04-release-vllm-0.33.0-vs-0.32.0")
    [found] = history.run([slower(), slower()], first=5)
    assert states(found)[0] is S.CONFIRMED
    assert {one.night[:10] for one in found.members} == {"2026-11-04", "2026-11-05"}


def test_the_same_release_again_without_a_change_is_not_reproduced(history: History) -> None:
    history.release("0.33.0", "0.32.0", 1.1, "2026-11-04-release-a")
    history.release("0.33.0", "0.32.0", 1.0, "2026-11-05-release-b")
    assert [one.state for one in history.episodes()] == [S.NOT_REPRODUCED]


def test_a_later_release_at_the_old_level_fixes_it(history: History) -> None:
    history.release("0.33.0", "0.32.0", 1.1, "2026-11-04-release-a")
    history.release("0.34.0", "0.32.0", 1.0, "2026-11-05-release-b")
    assert [one.state for one in history.episodes()] == [S.FIXED]


def test_another_pair_of_builds_is_another_episode(history: History) -> None:
    history.release("0.33.0", "0.32.0", 1.1, "2026-11-04-release-a")
    history.release("0.34.0", "0.33.0", 1.1, "2026-11-05-release-b")
    words = [one.cause.words for one in history.episodes()]
    assert words == ["vllm 0.32.0 → 0.33.0", "vllm 0.33.0 → 0.34.0"]


def test_judging_any_night_again_changes_nothing(history: History) -> None:
    [found] = history.run([*QUIET, slower(), slower(), FIXED, FIXED])
    history.say(found.key, S.CONFIRMED)
    before = history.episodes()
    for day in (8, 5, 1, 6):
        history.judge(f"2026-11-{day:02d}")
        assert history.episodes() == before


def test_what_people_said_outlives_a_night_that_is_judged_again(history: History) -> None:
    [found] = history.run([*QUIET, slower()])
    history.say(found.key, S.ACKNOWLEDGED, owner="kim")
    history.judge("2026-11-05")
    [again] = history.episodes()
    assert (again.key, again.state, again.owner) == (found.key, S.ACKNOWLEDGED, "kim")


def test_a_night_that_is_recorded_late_dates_the_episode_back(history: History) -> None:
    history.run(QUIET)
    history.judge(history.record(6, slower()))
    [found] = history.episodes()
    history.say(found.key, S.ACKNOWLEDGED)
    early = history.record(5, slower())
    history.judge(early)
    [again] = history.episodes()
    assert (again.key, again.opened, again.state) == (found.key, early, S.ACKNOWLEDGED)


def test_an_episode_people_spoke_of_is_kept_when_its_night_no_longer_shows_it(
    history: History, make_launch: Callable[..., Launch]
) -> None:
    [found] = history.run([*QUIET, slower()])
    history.say(found.key, S.ACKNOWLEDGED)
    strict = history.policy.model_copy(
        update={"min_change": dict.fromkeys(history.policy.min_change, 0.5)}
    )
    replace(history, policy=strict).judge("2026-11-05")
    [kept] = history.episodes()
    assert states(kept) == [S.SUSPECTED, S.ACKNOWLEDGED, S.NOT_REPRODUCED]
    history.judge("2026-11-05")
    assert states(history.episodes()[0]) == [S.SUSPECTED, S.ACKNOWLEDGED]


def test_nothing_is_half_done_when_a_judgement_is_interrupted(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.run([*QUIET, slower()])
    history.session.commit()
    before = history.episodes()
    name = history.record(6, slower())
    history.session.commit()
    monkeypatch.setattr("regressions.chronicle.after_night", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        history.judge(name)
    history.session.rollback()
    assert history.episodes() == before
    monkeypatch.undo()
    history.judge(name)
    assert [states(one) for one in history.episodes()] == [[S.SUSPECTED, S.CONFIRMED]]


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(3, 7)), again=st.lists(st.integers(3, 6), max_size=2))
def test_one_step_is_one_episode_whatever_the_order_of_judging(
    history: History, order: list[int], again: list[int]
) -> None:
    history.session.rollback()
    quiet = Truth(control=False, sglang=False)
    truths = [quiet] * 3 + [slower(control=False, sglang=False)] * 3
    nights = [history.record(day, truth) for day, truth in enumerate(truths, start=1)]
    for day in [1, 2, *order, *again]:
        history.judge(nights[day - 1])
    [found] = history.episodes()
    assert (found.opened, found.state) == (nights[3], S.CONFIRMED)
