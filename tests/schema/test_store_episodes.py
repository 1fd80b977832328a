"""Episodes in a real database: kept whole, read back equal, and what levels they leave behind."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from schema.episodes import (
    Attribution,
    Cause,
    Episode,
    EpisodeState,
    Member,
    Spell,
    Transition,
)
from schema.judgements import Verdict
from schema.nights import Night, NightKind
from schema.store.episodes import (
    UnknownEpisode,
    accepted_levels,
    episode,
    episodes,
    record_episodes,
)
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.values import values_before, values_between
from schema.trials import Arm, Launch

S = EpisodeState
DAYS = range(1, 9)
CAUSE = Cause(
    attribution=Attribution.BUILD, subject="vllm", reasons=("the pinned build did not move",),
    builds=("vllm 0.31.0", "vllm 0.32.0"), nights=("2026-11-03", "2026-11-04"),
)  # fmt: skip


def night(day: int) -> str:
    return f"2026-11-{day:02d}"


@dataclass(frozen=True, kw_only=True)
class Nights:
    session: Session
    cell: str

    def episode(self, *steps: tuple[int, EpisodeState], key: str = "4f1c" * 4) -> Episode:
        history, before = [], None
        for day, state in steps:
            cause = None if history else CAUSE
            step = Transition(night=night(day), before=before, state=state, reason="r", cause=cause)
            history.append(step)
            before = state
        member = Member(
            cell=self.cell, metric="itl_p50", kind=NightKind.NIGHTLY, night=night(steps[0][0]),
            change=0.1, p=0.0079, verdict=Verdict.REGRESSION,
        )  # fmt: skip
        return Episode(key=key, members=(member,), history=tuple(history))

    def baseline(self, before: int, nights: int = 9) -> list[int]:
        """Days of the window."""
        found = values_before(self.session, [self.cell], night(before), nights)
        return sorted({one.date.day for one in found})


@pytest.fixture
def nights(
    session: Session, make_night: Callable[..., Night], make_launch: Callable[..., Launch]
) -> Nights:
    """Eight nights with one launch each, and its pinned build."""
    for day in DAYS:
        plan = make_night(night(day))
        record_night(session, plan)
        for arm in (Arm.NIGHTLY, Arm.CONTROL):
            record(session, make_launch(night=night(day), arm=arm, telemetry=()))
    return Nights(session=session, cell=plan.cells[0].key)


def test_what_is_kept_is_read_back_equal(session: Session, nights: Nights) -> None:
    plain = nights.episode((4, S.SUSPECTED), (5, S.CONFIRMED))
    said = Transition(
        night=night(5), by="mira", at=datetime(2026, 11, 5, 8, tzinfo=UTC), before=S.CONFIRMED,
        state=S.ACKNOWLEDGED, reason="a fix is under review", owner="kim",
        due=date(2026, 12, 1), link="https://example.com/1",
    )  # fmt: skip
    kept = plain.model_copy(update={"history": (*plain.history, said)})
    record_episodes(session, [kept])
    assert episodes(session) == [kept]
    assert (kept.owner, kept.due, kept.link) == ("kim", date(2026, 12, 1), "https://example.com/1")


def test_what_is_not_handed_in_again_goes(session: Session, nights: Nights) -> None:
    first, second = nights.episode((4, S.SUSPECTED)), nights.episode((5, S.SUSPECTED), key="b" * 16)
    record_episodes(session, [first, second])
    record_episodes(session, [second])
    assert episodes(session) == [second]
    assert episodes(session, everything=False) == [second]


def test_a_key_may_be_shortened_while_it_names_one(session: Session, nights: Nights) -> None:
    keys = ("4f1c" * 4, "4f1d" * 4)
    found = [nights.episode((4, S.SUSPECTED), key=key) for key in keys]
    record_episodes(session, found)
    assert episode(session, "4f1d") == found[1]
    for key, why in (("4f1", "begins 2 of them"), ("zz", "is none of them"), ("", "is none")):
        with pytest.raises(UnknownEpisode, match=why):
            episode(session, key)


def test_a_step_of_a_person_has_a_time_and_one_of_tailwatch_has_none(
    session: Session, nights: Nights
) -> None:
    plain = nights.episode((4, S.SUSPECTED))
    undated = plain.history[0].model_copy(update={"by": "mira"})
    with pytest.raises(IntegrityError, match="dated"):
        record_episodes(session, [plain.model_copy(update={"history": (undated,)})])


LEFT = [
    ([], [1, 2, 3, 4, 5, 6, 7]),
    ([(4, S.SUSPECTED)], [1, 2, 3]),
    ([(4, S.SUSPECTED), (5, S.CONFIRMED)], [1, 2, 3]),
    ([(4, S.SUSPECTED), (5, S.INFRASTRUCTURE)], [1, 2, 3]),
    ([(4, S.SUSPECTED), (5, S.TRANSIENT)], [1, 2, 3, 5, 6, 7]),
    ([(4, S.SUSPECTED), (5, S.CONFIRMED), (7, S.FIXED)], [1, 2, 3, 7]),
    ([(4, S.SUSPECTED), (4, S.NOT_REPRODUCED)], [1, 2, 3, 4, 5, 6, 7]),
    ([(4, S.SUSPECTED), (5, S.EXPECTED)], [1, 2, 3, 4, 5, 6, 7]),
    ([(2, S.SUSPECTED), (3, S.TRANSIENT), (6, S.SUSPECTED)], [1, 3, 4, 5]),
]


@pytest.mark.parametrize(("steps", "days"), LEFT)
def test_nights_at_a_level_that_was_left_are_no_baseline(
    session: Session, nights: Nights, steps: list[tuple[int, EpisodeState]], days: list[int]
) -> None:
    if steps:
        record_episodes(session, [nights.episode(*steps)])
    assert nights.baseline(before=8) == days


def test_a_bad_level_does_not_shorten_the_window(session: Session, nights: Nights) -> None:
    record_episodes(session, [nights.episode((4, S.SUSPECTED), (5, S.CONFIRMED))])
    assert nights.baseline(before=8, nights=2) == [2, 3]


def test_the_pinned_build_has_the_same_good_nights(session: Session, nights: Nights) -> None:
    record_episodes(session, [nights.episode((4, S.SUSPECTED))])
    found = values_before(session, [nights.cell], night(8), 9, (Arm.CONTROL,))
    assert sorted({one.date.day for one in found}) == [1, 2, 3]
    assert {one.arm for one in found} == {Arm.CONTROL}


def test_an_accepted_level_holds_from_its_first_night(session: Session, nights: Nights) -> None:
    record_episodes(session, [nights.episode((4, S.SUSPECTED), (6, S.EXPECTED))])
    assert accepted_levels(session, [nights.cell]) == {nights.cell: [night(4)]}


def test_values_between_two_nights_include_both(session: Session, nights: Nights) -> None:
    found = values_between(session, [nights.cell], night(3), night(5))
    assert sorted({one.date.day for one in found}) == [3, 4, 5]
    assert {one.arm for one in found} == {Arm.NIGHTLY, Arm.CONTROL}


def test_a_step_that_comes_back_begins_another_spell(nights: Nights) -> None:
    steps = ((2, S.SUSPECTED), (3, S.CONFIRMED), (5, S.FIXED), (7, S.SUSPECTED))
    first = Spell(begun=night(2), ended=night(5), state=S.FIXED)
    again = Spell(begun=night(7), ended=None, state=S.SUSPECTED)
    assert nights.episode(*steps).spells == (first, again)
    assert nights.episode(*steps).as_of(night(6)) == nights.episode(*steps[:3])
    assert nights.episode(*steps).before(night(2)) is None
