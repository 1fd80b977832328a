"""What each task does: record first, repeat nothing, lose nothing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dags import steps
from dags.orders import StaleMatrix, order, planned_launch
from dags.planning import plan_nightly
from dags.steps import NightIncomplete
from regressions.policy import DEFAULT_POLICY, SHADOW_POLICY, ConfirmRules, read_policy
from runners import spool
from runners.errors import BuildUnavailable, EngineDied
from schema.documents import BadDocument
from schema.episodes import Attribution, Episode, EpisodeState
from schema.matrix import load_matrix
from schema.nights import NightKind
from schema.session import DatabaseUnreachable, reading, writing
from schema.store.episodes import episodes
from schema.store.judgements import judgements
from schema.store.launches import launch_keys, record
from schema.store.nights import NightDiffers, night, record_night
from schema.store.silent import two_verdicts
from schema.store.values import values_of_night
from schema.trials import Arm, BuildSpec, Launch, TrialState

TODAY = "2026-11-22"
SMALL = "vllm/tiny-llama/bf16/cpu/tp1/enforce-eager"
NIGHT = f"{TODAY}-release-vllm-0.32.0-vs-0.31.0"

Params = Callable[..., dict[str, Any]]
Document = Callable[..., Launch]


def _waiting(host: Path) -> list[Launch]:
    return [spool.read(path) for path in spool.waiting(host, NIGHT)]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, document: Document) -> list[int]:
    """Launches are not made but written; returns the attempts that were asked for."""
    asked: list[int] = []

    def launch(planned: Any, *_: Any, attempt: int) -> Launch:
        asked.append(attempt)
        return document(_order_of(planned), attempt=attempt)

    monkeypatch.setattr(steps, "launch", launch)
    return asked


def _order_of(planned: Any) -> dict[str, Any]:
    return order(planned, load_matrix("demo"))


def test_a_plan_records_the_night_and_orders_each_launch_where_its_device_is(
    host: Path, asked: Params
) -> None:
    planned = steps.plan_a_release(asked(launches=2), TODAY)
    assert planned["night"] == NIGHT
    assert (planned["h100"], planned["h200"]) == ({"builds": [], "orders": []},) * 2
    assert [one["build"] for one in planned["cpu"]["builds"]] == ["vllm==0.31.0", "vllm==0.32.0"]
    with reading() as session:
        stored = night(session, NIGHT)
    assert (stored.kind, stored.launches) == (NightKind.RELEASE, 4)
    assert len(planned["cpu"]["orders"]) == 4


def test_variants_of_one_release_are_provided_once(host: Path, asked: Params) -> None:
    planned = steps.plan_a_release(asked(version="0.31.0+onecore"), TODAY)
    assert planned["cpu"]["builds"] == [{"build": "vllm==0.31.0", "gpu": "cpu"}]
    assert [one["build"] for one in planned["cpu"]["orders"]] == [
        "vllm==0.31.0",
        "vllm==0.31.0+onecore",
    ]


def test_planning_twice_changes_nothing_and_another_plan_is_refused(
    host: Path, asked: Params
) -> None:
    first = steps.plan_a_release(asked(), TODAY)
    assert steps.plan_a_release(asked(), TODAY) == first
    with pytest.raises(NightDiffers, match="launches"):
        steps.plan_a_release(asked(launches=3, night=NIGHT), TODAY)


def test_a_night_of_its_own_name_is_filed_under_it(host: Path, asked: Params) -> None:
    planned = steps.plan_a_release(asked(night="2026-11-20-again"), TODAY)
    assert planned["night"] == "2026-11-20-again"


def test_a_nightly_plan_covers_the_matrix(host: Path) -> None:
    planned = steps.plan_a_night({"matrix": "demo", "builds": ["vllm==0.32.0"]}, TODAY)
    with reading() as session:
        stored = night(session, TODAY)
    assert (stored.kind, stored.contenders) == (NightKind.NIGHTLY, ("vllm==0.32.0",))
    assert len(planned["cpu"]["orders"]) == stored.launches


def test_a_launch_ends_in_the_spool_before_the_task_ends(
    host: Path, asked: Params, launched: list[int]
) -> None:
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    assert not steps.run_trials(ordered, attempt=1)
    (kept,) = _waiting(host)
    assert {trial.cell for trial in kept.trials} == set(planned_launch(ordered).cells)


def test_a_document_that_waits_in_the_spool_is_not_launched_again(
    host: Path, asked: Params, launched: list[int]
) -> None:
    """The task was killed after the work was done, and comes back as its next attempt."""
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    for attempt in (1, 1, 2):
        assert not steps.run_trials(ordered, attempt=attempt)
    assert launched == [1]


def test_a_failed_launch_that_waits_in_the_spool_is_attempted_again(
    host: Path, asked: Params, launched: list[int], document: Document
) -> None:
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    spool.keep(document(ordered, state=TrialState.FAILED), host)
    assert not steps.run_trials(ordered, attempt=2)
    assert launched == [2]


def test_the_document_of_another_launch_is_no_reason_to_skip_this_one(
    host: Path, asked: Params, launched: list[int]
) -> None:
    first, second = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"]
    steps.run_trials(first, attempt=1)
    steps.run_trials(second, attempt=1)
    assert launched == [1, 1]


@pytest.mark.parametrize(
    ("error", "helps"),
    [(EngineDied("exit code 137"), True), (BuildUnavailable("vllm==9.9 is not there"), False)],
)
def test_another_attempt_is_made_only_where_it_may_help(
    host: Path,
    asked: Params,
    document: Document,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    helps: bool,
) -> None:
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    why = f"{type(error).__name__}: {error}"
    failed = document(ordered, state=TrialState.FAILED, reason=why)
    monkeypatch.setattr(steps, "launch", lambda *_, **__: failed)
    assert steps.run_trials(ordered, attempt=1) is helps
    assert _waiting(host) == [failed]


def test_recording_stores_each_document_once_and_empties_the_spool(
    host: Path, asked: Params, document: Document
) -> None:
    orders = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"]
    for ordered in orders:
        spool.keep(document(ordered), host)
    assert steps.record_spool(NIGHT) == len(orders)
    assert _waiting(host) == []
    spool.keep(document(orders[0]), host)
    assert steps.record_spool(NIGHT) == 0
    assert _waiting(host) == []
    with reading() as session:
        assert len(launch_keys(session, NIGHT)) == len(orders)


def test_a_document_leaves_the_spool_only_after_its_commit(
    host: Path, asked: Params, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    spool.keep(document(ordered), host)
    seen: list[tuple[int, int]] = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        with reading() as session:
            seen.append((len(launch_keys(session, NIGHT)), len(_waiting(host))))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    steps.record_spool(NIGHT)
    assert seen == [(1, 1)]


def test_what_was_undone_stays_in_the_spool(
    host: Path, asked: Params, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    spool.keep(document(ordered), host)

    def interrupted(*arguments: Any) -> int:
        record(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            steps.record_spool(NIGHT)
    with reading() as session:
        assert launch_keys(session, NIGHT) == set()
    assert steps.record_spool(NIGHT) == 1


def test_an_unreachable_database_leaves_the_document_where_it_is(
    host: Path, asked: Params, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"][0]
    kept = document(ordered)
    spool.keep(kept, host)
    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
        with pytest.raises(DatabaseUnreachable):
            steps.record_spool(NIGHT)
    assert _waiting(host) == [kept]
    assert steps.record_spool(NIGHT) == 1


def test_two_recorders_at_once_do_not_stumble_over_each_other(
    host: Path, asked: Params, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"]
    for ordered in orders:
        spool.keep(document(ordered), host)
    others = iter([steps.record_spool])

    def overtaken(*arguments: Any) -> int:
        for other in others:
            other(NIGHT)
        return record(*arguments)

    monkeypatch.setattr(steps, "record", overtaken)
    assert steps.record_spool(NIGHT) == 0
    assert _waiting(host) == []
    with reading() as session:
        assert len(launch_keys(session, NIGHT)) == len(orders)


def test_a_complete_night_passes(host: Path, asked: Params, document: Document) -> None:
    for ordered in steps.plan_a_release(asked(launches=2), TODAY)["cpu"]["orders"]:
        spool.keep(document(ordered), host)
    steps.record_spool(NIGHT)
    steps.require_complete(NIGHT)


def test_a_night_without_trials_names_every_cell(host: Path, asked: Params) -> None:
    cells = steps.plan_a_release(asked(cells=[]), TODAY)["cpu"]["orders"]
    with pytest.raises(NightIncomplete) as refused:
        steps.require_complete(NIGHT)
    for slug in {slug for ordered in cells for slug in ordered["cells"]}:
        assert f"no trial of {slug}" in str(refused.value)
    assert "0 of 4 launches are stored" in str(refused.value)


def test_a_failed_trial_is_named_with_its_reason_until_it_is_replaced(
    host: Path, asked: Params, document: Document
) -> None:
    first, second = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"]
    spool.keep(document(first, state=TrialState.FAILED, reason="EngineDied: exit code 137"), host)
    spool.keep(document(second), host)
    steps.record_spool(NIGHT)
    with pytest.raises(NightIncomplete, match=f"{first['cells'][0]} failed: EngineDied: exit code"):
        steps.require_complete(NIGHT)
    spool.keep(document(first, attempt=2), host)
    steps.record_spool(NIGHT)
    steps.require_complete(NIGHT)
    with reading() as session:
        values = values_of_night(session, NIGHT)
    counted = [(value.arm, value.replicate) for value in values if value.metric == "itl_p50"]
    assert sorted(counted) == [("release-baseline", 0), ("release-contender", 0)]


def test_a_second_attempt_does_not_stand_in_for_a_launch_that_is_missing(
    host: Path, asked: Params, document: Document
) -> None:
    first, _ = steps.plan_a_release(asked(), TODAY)["cpu"]["orders"]
    spool.keep(document(first, state=TrialState.FAILED), host)
    spool.keep(document(first, attempt=2), host)
    steps.record_spool(NIGHT)
    with pytest.raises(NightIncomplete, match="1 of 2 launches are stored"):
        steps.require_complete(NIGHT)


def test_judging_twice_stores_the_same_conclusions(
    host: Path, asked: Params, document: Document
) -> None:
    for ordered in steps.plan_a_release(asked(launches=3), TODAY)["cpu"]["orders"]:
        spool.keep(document(ordered), host)
    steps.record_spool(NIGHT)
    steps.judge(NIGHT)
    with reading() as session:
        first = judgements(session, NIGHT)
    steps.judge(NIGHT)
    with reading() as session:
        assert judgements(session, NIGHT) == first != []


def test_a_bad_shadow_policy_costs_the_night_no_verdict(
    host: Path, asked: Params, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ordered in steps.plan_a_release(asked(launches=3), TODAY)["cpu"]["orders"]:
        spool.keep(document(ordered), host)
    steps.record_spool(NIGHT)
    monkeypatch.setenv(SHADOW_POLICY, "none.yaml")
    with pytest.raises(BadDocument, match=r"none\.yaml"):
        steps.judge(NIGHT)
    with reading() as session:
        assert judgements(session, NIGHT) != []
    monkeypatch.setenv(SHADOW_POLICY, str(DEFAULT_POLICY))
    steps.judge(NIGHT)
    with reading() as session:
        both = two_verdicts(session, read_policy().key)
        assert len(both) == len(judgements(session, NIGHT))
    assert all(one.told is one.shadow for one in both)


def test_without_slack_the_digest_is_in_the_log(
    host: Path, asked: Params, document: Document, caplog: pytest.LogCaptureFixture
) -> None:
    for ordered in steps.plan_a_release(asked(), TODAY)["cpu"]["orders"]:
        spool.keep(document(ordered), host)
    steps.record_spool(NIGHT)
    steps.judge(NIGHT)
    with caplog.at_level("INFO", logger="dags.steps"):
        steps.announce(NIGHT)
    assert NIGHT in caplog.text
    assert "SLACK_BOT_TOKEN is not set" in caplog.text


BEFORE, NEW = "2026-11-21", "vllm==0.33.0"
MAKES = (f"{SMALL}/closed-4", f"{SMALL}/open-8")
Night = Callable[..., None]


@pytest.fixture
def nightly(host: Path, document: Document) -> Night:
    """A nightly of one family whose build has this inter-token latency, recorded and judged."""

    def make(name: str, build: str, itl_s: float, launches: int = 5) -> None:
        matrix = load_matrix("demo")
        plan, planned = plan_nightly(
            matrix,
            [BuildSpec.parse(build)],
            name=name,
            cells=matrix.select(MAKES),
            launches=launches,
        )
        with writing() as session:
            record_night(session, plan)
        for one in planned:
            _keep(host, document, order(one, matrix), itl_s)
        steps.record_spool(name)
        steps.judge(name)

    return make


def _keep(host: Path, document: Document, ordered: dict[str, Any], itl_s: float) -> None:
    """One launch of the order; its trials scatter by a percent."""
    at = planned_launch(ordered).replicate
    made = document(ordered, measurements={"itl_p50": itl_s * (1 + 0.002 * at)})
    spool.keep(made, host)


def _confirm(host: Path, document: Document, orders: list[dict[str, Any]], **itl_s: float) -> None:
    for ordered in orders:
        arm = ordered["arm"].removeprefix("confirm-")
        _keep(host, document, ordered, itl_s[arm])
    steps.record_spool(TODAY)


def _episodes() -> list[Episode]:
    with reading() as session:
        return episodes(session)


def test_nothing_suspected_orders_nothing(host: Path, nightly: Night) -> None:
    nightly(BEFORE, "vllm==0.32.0", 0.010)
    nightly(TODAY, NEW, 0.010)
    assert steps.plan_confirmations(TODAY) is None
    assert steps.judge_again(TODAY) is False


def test_a_suspicion_is_ordered_in_turns_and_ends_confirmed_and_told(
    host: Path, nightly: Night, document: Document, caplog: pytest.LogCaptureFixture
) -> None:
    nightly(BEFORE, "vllm==0.32.0", 0.010)
    nightly(TODAY, NEW, 0.012)
    assert [one.state for one in _episodes()] == [EpisodeState.SUSPECTED]
    planned = steps.plan_confirmations(TODAY)
    assert planned is not None
    assert [one["build"] for one in planned["cpu"]["builds"]] == ["vllm==0.32.0", NEW]
    arms = [one["arm"].removeprefix("confirm-") for one in planned["cpu"]["orders"]]
    assert arms[:4] == ["baseline", "contender", "contender", "baseline"]
    assert len(arms) == 10
    _confirm(host, document, planned["cpu"]["orders"], baseline=0.010, contender=0.012)
    assert steps.judge_again(TODAY)
    [found] = _episodes()
    assert (found.state, found.cause.attribution) == (EpisodeState.CONFIRMED, Attribution.BUILD)
    steps.require_complete(TODAY)
    with caplog.at_level("INFO", logger="dags.steps"):
        steps.announce(TODAY)
    assert "confirmed, build: itl_p50 +20.0 % in 2 cells" in caplog.text
    assert "measured again in turns" in caplog.text


def test_a_confirmation_begun_again_orders_what_is_missing_and_no_more(
    host: Path, nightly: Night, document: Document
) -> None:
    """Whatever has been judged meanwhile: the plan that was made holds."""
    nightly(BEFORE, "vllm==0.32.0", 0.010)
    nightly(TODAY, NEW, 0.012)
    first = steps.plan_confirmations(TODAY)
    assert first is not None
    orders = first["cpu"]["orders"]
    _confirm(host, document, orders[:7], baseline=0.010, contender=0.012)
    steps.judge(TODAY)
    again = steps.plan_confirmations(TODAY)
    assert again is not None
    assert again["cpu"]["orders"] == orders[7:]
    with pytest.raises(NightIncomplete, match="12 of 15 launches are stored"):
        steps.require_complete(TODAY)
    _confirm(host, document, orders[7:], baseline=0.010, contender=0.012)
    steps.judge(TODAY)
    assert steps.plan_confirmations(TODAY) == {**again, "cpu": {"builds": [], "orders": []}}
    with reading() as session:
        values = values_of_night(session, TODAY)
    counts = Counter(one.arm for one in values if one.arm.startswith("confirm"))
    assert counts == {Arm.CONFIRM_BASELINE: 5, Arm.CONFIRM_CONTENDER: 5}


def test_what_the_budget_left_out_is_told_with_the_night(
    host: Path,
    nightly: Night,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    small = ConfirmRules(gpu_minutes=0.01, launches=5)
    policy = read_policy().model_copy(update={"confirm": small})
    monkeypatch.setattr(steps, "read_policy", lambda: policy)
    nightly(BEFORE, "vllm==0.32.0", 0.010)
    nightly(TODAY, NEW, 0.012)
    planned = steps.plan_confirmations(TODAY)
    assert planned is not None
    assert planned["cpu"]["orders"] == []
    steps.judge(TODAY)
    steps.require_complete(TODAY)
    with caplog.at_level("INFO", logger="dags.steps"):
        steps.announce(TODAY)
    assert "not confirmed: budget of 0.01 GPU-minutes is too small" in caplog.text


def test_a_matrix_that_has_changed_since_confirms_nothing(
    host: Path, nightly: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    nightly(BEFORE, "vllm==0.32.0", 0.010)
    nightly(TODAY, NEW, 0.012)
    changed = load_matrix("demo").model_copy(update={"launches": 50})
    monkeypatch.setattr(steps, "load_matrix", lambda _: changed)
    with pytest.raises(StaleMatrix, match="nothing can be confirmed in it any more"):
        steps.plan_confirmations(TODAY)
