"""A digest is put together from what the database knows of its night and the one before."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from alerts.night import read_digest, read_findings
from schema.judgements import Judgement, Verdict
from schema.nights import Night, NightKind
from schema.store.annotations import annotate
from schema.store.judgements import record_judgements
from schema.store.launches import record
from schema.store.nights import UnknownNight, record_night
from schema.trials import Launch

BEFORE, TONIGHT = "2026-11-21", "2026-11-22"
Nights = Callable[..., Night]
Judge = Callable[..., Judgement]


@pytest.fixture
def recorded(session: Session, make_night: Nights, make_launch: Callable[..., Launch]) -> Session:
    for name in (BEFORE, TONIGHT):
        record_night(session, make_night(name))
        record(session, make_launch(night=name))
    return session


def test_a_night_that_was_not_judged_tells_its_trials(
    recorded: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAILWATCH_DASHBOARD_URL", raising=False)
    found = read_digest(recorded, TONIGHT)
    assert found.headline == f"{TONIGHT}: nothing changed"
    assert "2 of 2 trials valid" in found.context
    assert found.link is None


def test_links_lead_to_the_dashboard(
    recorded: Session, make_judgement: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILWATCH_DASHBOARD_URL", "http://here:8501")
    one = make_judgement()
    record_judgements(recorded, TONIGHT, [one])
    row = read_digest(recorded, TONIGHT).sections[0].groups[0].rows[0]
    cell = one.comparison.cell
    assert row.link == f"http://here:8501/compare?night={TONIGHT}&cell={cell}&metric=ttft_p50"


def test_a_regression_of_the_night_before_that_is_gone_is_a_recovery(
    recorded: Session, make_judgement: Judge
) -> None:
    record_judgements(recorded, BEFORE, [make_judgement(night=BEFORE)])
    well = make_judgement().model_copy(update={"verdict": Verdict.NO_CHANGE})
    record_judgements(recorded, TONIGHT, [well])
    [recovered] = read_findings(recorded, TONIGHT).recovered
    assert recovered.judgement == well


def test_a_night_of_another_kind_is_not_the_night_before(
    recorded: Session, make_night: Nights, make_judgement: Judge
) -> None:
    release = f"{BEFORE}-release"
    record_night(recorded, make_night(release, kind=NightKind.RELEASE))
    record_judgements(recorded, release, [make_judgement(night=release)])
    well = make_judgement().model_copy(update={"verdict": Verdict.NO_CHANGE})
    record_judgements(recorded, TONIGHT, [well])
    assert read_findings(recorded, TONIGHT).recovered == ()


def test_a_remark_makes_a_regression_known(recorded: Session, make_judgement: Judge) -> None:
    one = make_judgement()
    record_judgements(recorded, TONIGHT, [one])
    annotate(recorded, BEFORE, "expected", author="mira", cell=one.comparison.cell)
    found = read_findings(recorded, TONIGHT)
    assert found.worse == ()
    assert found.known[0].remark == "mira: expected"


def test_an_unknown_night_is_refused(session: Session) -> None:
    with pytest.raises(UnknownNight):
        read_digest(session, "2026-01-01")
