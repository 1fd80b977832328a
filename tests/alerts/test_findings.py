"""Findings are sorted by what a reader does about them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alerts.digest import Links, digest
from alerts.findings import Findings, findings
from schema.judgements import Judgement
from schema.store.annotations import Annotation
from schema.store.trials import TrialSummary
from schema.trials import Arm, TrialState

Situations = dict[str, Callable[[], Findings]]


def worse(found: Findings) -> list[Judgement]:
    return [one.judgement for one in (*found.worse, *found.known)]


def said(night: str, cell: str | None, metric: str | None = None) -> Annotation:
    return Annotation(
        night=night, cell=cell, metric=metric, author="mira", text="expected",
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("night", "metric", "known"),
    [
        ("2026-11-21-release-vllm-0.32.0-vs-0.31.0", "itl_p50", 1),
        ("2026-11-10", None, 3),  # the whole cell, some nights ago
        ("2026-11-01", None, 0),  # too long ago
        ("2026-11-25", None, 0),  # about a later night
    ],
)
def test_a_remark_about_the_cell_makes_a_regression_known_for_a_while(
    situations: Situations, night: str, metric: str | None, known: int
) -> None:
    before = situations["both"]()
    cell = before.worse[0].judgement.comparison.cell
    again = findings(before.night, worse(before), [], [said(night, cell, metric)])
    assert len(again.known) == known
    assert len(again.worse) == 3 - known


def test_a_remark_about_the_night_acknowledges_nothing(situations: Situations) -> None:
    before = situations["both"]()
    again = findings(before.night, worse(before), [], [said(before.night.name, None)])
    assert again.known == ()


def trial(found: Findings, **changes: object) -> TrialSummary:
    cell = found.night.cells[0]
    plain = TrialSummary(
        key="t" * 16, night=found.night.name, launch="l", arm=Arm.RELEASE_CONTENDER, replicate=0,
        attempt=1, cell=cell.key, cell_slug=cell.slug, workload="chat", build="b",
        build_name="vllm 0.32.0", host="h", fingerprint="f", driver=None, state=TrialState.VALID,
        reason=None, replaced=False, launched_at=datetime(2026, 11, 21, tzinfo=UTC),
        started_at=None, duration_s=None, startup_s=None,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_an_open_episode_about_other_cells_is_counted_and_holds_nothing(
    situations: Situations,
) -> None:
    held = situations["episode-still-open"]()
    [own] = held.episodes
    cells = tuple(cell for cell in held.night.cells if cell.key not in own.cells)
    other = held.night.model_copy(update={"cells": cells})
    found = findings(other, [], [], episodes=[own])
    assert (found.episodes, found.elsewhere) == ((), 1)
    told = digest(found, Links(dashboard=None))
    assert "still open" not in told.headline
    assert "1 open episode about other cells" in told.context


def test_a_failed_trial_that_was_repeated_well_is_no_finding(situations: Situations) -> None:
    quiet = situations["quiet-night"]()
    died = trial(quiet, state=TrialState.FAILED, reason="engine died", replaced=True)
    again = trial(quiet, key="u" * 16, attempt=2)
    assert findings(quiet.night, [], [died, again]).failed == ()


def test_a_failed_cell_says_how_many_and_the_reason_given_most_often(
    situations: Situations,
) -> None:
    quiet = situations["quiet-night"]()
    trials = [
        trial(quiet, key="a", state=TrialState.INVALID, reason="throttled"),
        trial(quiet, key="b", state=TrialState.FAILED, reason="engine died"),
        trial(quiet, key="c", state=TrialState.FAILED, reason="engine died"),
        trial(quiet, key="d"),
    ]
    [cell] = findings(quiet.night, [], trials).failed
    assert cell.lost == {TrialState.INVALID: 1, TrialState.FAILED: 2}
    assert (cell.trials, cell.reason, cell.example) == (4, "engine died", "b")


def test_cells_without_any_trial_are_not_measured(situations: Situations) -> None:
    quiet = situations["quiet-night"]()
    found = findings(quiet.night, [], [trial(quiet)])
    assert found.unmeasured == tuple(cell.slug for cell in quiet.night.cells[1:])
    assert not found.nothing_ran
