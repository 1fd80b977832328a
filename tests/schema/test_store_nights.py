"""A night as people see it: plan against reality, judgements, remarks and its digest."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from schema.judgements import Judgement, Verdict, Warning
from schema.session import reading, writing
from schema.store.annotations import annotate, annotations
from schema.store.digests import (
    DigestNotClaimed,
    claim_digest,
    digest_posted,
    digests,
    release_digest,
)
from schema.store.judgements import MixedJudgements, judgements, record_judgements
from schema.store.launches import record
from schema.store.nights import (
    UnknownNight,
    cells_without_trials,
    night,
    nights,
    record_night,
)
from schema.store.trials import failed_trials, trials_of_night
from schema.trials import TrialState

Make = Callable[..., Any]
NIGHT = "2026-11-22"


@pytest.fixture
def planned(session: Session, make_night: Make) -> Session:
    """A session in which NIGHT is planned."""
    record_night(session, make_night())
    return session


def test_a_cell_without_a_trial_is_found(planned: Session, make_launch: Make) -> None:
    steady, burst = night(planned, NIGHT).cells
    assert cells_without_trials(planned, NIGHT) == [steady, burst]
    record(planned, make_launch([burst]))
    assert cells_without_trials(planned, NIGHT) == [steady]


def test_nights_come_newest_first_with_what_became_of_them(
    planned: Session, make_night: Make, make_launch: Make, make_trial: Make, make_judgement: Make
) -> None:
    record_night(planned, make_night("2026-11-23", cells=(), launches=0))
    record(planned, make_launch(trials=(make_trial(state=TrialState.FAILED),)))
    record(planned, make_launch(attempt=2, trials=(make_trial(),)))
    record_judgements(planned, NIGHT, [make_judgement()])
    empty, full = nights(planned)
    assert (empty.name, empty.cells, empty.launches) == ("2026-11-23", 0, 0)
    assert (full.cells, full.cells_without_trials) == (2, 1)
    assert (full.launches_planned, full.launches) == (1, 2)
    assert full.trials == {
        TrialState.VALID: 1, TrialState.INVALID: 0, TrialState.FAILED: 1,
    }  # fmt: skip
    assert full.verdicts[Verdict.REGRESSION] == 1
    assert sum(full.verdicts.values()) == 1
    assert [one.name for one in nights(planned, limit=1)] == ["2026-11-23"]


def test_an_unknown_night_is_named(session: Session) -> None:
    with pytest.raises(UnknownNight, match="no night 2020-01-01"):
        night(session, "2020-01-01")


def test_a_failed_trial_tells_whether_it_was_replaced(
    planned: Session, make_launch: Make, make_trial: Make, make_cell: Make
) -> None:
    def failed(workload: str) -> Any:
        return make_trial(make_cell(workload), state=TrialState.FAILED)

    record(planned, make_launch(trials=(failed("steady"), failed("burst"))))
    record(planned, make_launch(attempt=2, trials=(make_trial(), failed("burst"))))
    record(planned, make_launch(replicate=1, trials=(make_trial(state=TrialState.INVALID),)))
    tried = {one.cell for one in trials_of_night(planned, NIGHT)}
    failures = failed_trials(planned, tried)
    assert [
        (one.workload, one.replicate, one.attempt, one.state, one.replaced) for one in failures
    ] == [
        ("burst", 0, 1, TrialState.FAILED, False),
        ("burst", 0, 2, TrialState.FAILED, False),
        ("steady", 0, 1, TrialState.FAILED, True),
        ("steady", 1, 1, TrialState.INVALID, False),
    ]
    assert failures[0].reason == "the engine died"
    assert failed_trials(planned, []) == []
    assert len(trials_of_night(planned, NIGHT)) == 5


def test_a_trial_names_what_it_ran_on(planned: Session, make_launch: Make) -> None:
    launch = make_launch()
    record(planned, launch)
    burst, steady = trials_of_night(planned, NIGHT)
    assert (burst.workload, steady.workload) == ("burst", "steady")
    assert burst.build_name == "vllm 0.32.0"
    assert (burst.host, burst.driver) == ("bench-01", "570.86")
    assert burst.fingerprint == launch.host.fingerprint
    assert burst.launched_at == launch.started_at
    assert burst.launch == launch.key


def test_judgements_come_back_whole_in_reading_order(
    planned: Session, make_judgement: Make, make_cell: Make
) -> None:
    warned = make_judgement(warnings=(Warning(code="few-trials", text="3 v 3"),), p=0.1)
    silent = make_judgement("output_throughput", change=None, interval=None)
    other = make_judgement(cell=make_cell("burst"))
    record_judgements(planned, NIGHT, [warned, silent, other])
    assert judgements(planned, NIGHT) == [other, silent, warned]


def test_judging_again_replaces_and_removes(planned: Session, make_judgement: Make) -> None:
    first, gone = make_judgement(), make_judgement("itl_p50")
    record_judgements(planned, NIGHT, [first, gone])
    changed = Judgement(
        comparison=first.comparison, verdict=Verdict.NO_CHANGE, reason="less", policy="p2"
    )
    record_judgements(planned, NIGHT, [changed])
    planned.expire_all()
    assert judgements(planned, NIGHT) == [changed]
    record_judgements(planned, NIGHT, [])
    assert judgements(planned, NIGHT) == []


def test_judgements_that_do_not_belong_together_change_nothing(
    planned: Session, make_judgement: Make
) -> None:
    record_judgements(planned, NIGHT, [make_judgement()])
    with pytest.raises(MixedJudgements, match="of 2026-01-01 were handed in"):
        record_judgements(planned, NIGHT, [make_judgement(night="2026-01-01")])
    with pytest.raises(MixedJudgements, match="two judgements between the same builds"):
        record_judgements(planned, NIGHT, [make_judgement(), make_judgement(p=0.5)])
    with pytest.raises(UnknownNight):
        record_judgements(planned, "2026-01-01", [])
    assert judgements(planned, NIGHT) == [make_judgement()]


def test_two_judges_at_once_leave_one_set(
    database_url: str, make_night: Make, make_judgement: Make
) -> None:
    with writing(database_url) as session:
        record_night(session, make_night())
    sets = [[make_judgement()], [make_judgement(), make_judgement("itl_p50")]]
    both = threading.Barrier(2)

    def judge(own: list[Judgement]) -> None:
        with writing(database_url) as session:
            both.wait()
            record_judgements(session, NIGHT, own)

    threads = [threading.Thread(target=judge, args=(own,)) for own in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(database_url) as session:
        assert len(judgements(session, NIGHT)) in {1, 2}


def test_the_same_remark_twice_is_one(planned: Session, make_cell: Make) -> None:
    key = make_cell().key
    for _ in range(2):
        annotate(planned, NIGHT, "driver updated", author="ada")
        annotate(planned, NIGHT, "known", author="ada", cell=key, metric="ttft_p50")
    assert [one.text for one in annotations(planned)] == ["driver updated", "known"]
    assert [one.text for one in annotations(planned, key, "ttft_p50")] == [
        "driver updated",
        "known",
    ]
    assert [one.text for one in annotations(planned, key, "itl_p50")] == ["driver updated"]
    assert [one.text for one in annotations(planned, "another cell")] == ["driver updated"]


def test_a_remark_on_an_unknown_night_is_refused(session: Session) -> None:
    with pytest.raises(UnknownNight):
        annotate(session, "2020-01-01", "hm", author="ada")


def test_a_digest_is_claimed_once(planned: Session) -> None:
    assert claim_digest(planned, NIGHT, "#perf")
    assert not claim_digest(planned, NIGHT, "#perf")
    assert claim_digest(planned, NIGHT, "#other")
    digest_posted(planned, NIGHT, "#perf", "1700000000.000100")
    other, posted = digests(planned, NIGHT)
    assert other.posted_at is None
    assert posted.ts == "1700000000.000100"


def test_a_claim_after_a_failed_post_can_be_undone_a_post_cannot(planned: Session) -> None:
    claim_digest(planned, NIGHT, "#perf")
    assert release_digest(planned, NIGHT, "#perf")
    assert claim_digest(planned, NIGHT, "#perf")
    digest_posted(planned, NIGHT, "#perf", "1.0")
    assert not release_digest(planned, NIGHT, "#perf")
    assert not claim_digest(planned, NIGHT, "#perf")
    with pytest.raises(DigestNotClaimed):
        digest_posted(planned, NIGHT, "#perf", "2.0")


def test_of_two_claims_at_once_one_wins(database_url: str, make_night: Make) -> None:
    with writing(database_url) as session:
        record_night(session, make_night())
    claims = []

    def claim() -> None:
        with writing(database_url) as session:
            claims.append(claim_digest(session, NIGHT, "#perf"))

    threads = [threading.Thread(target=claim) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == [False, False, True]
