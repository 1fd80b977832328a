"""episodes and episode against a real database."""

from collections.abc import Callable

import pytest

from regressions.people import MAY
from schema.episodes import (
    Attribution,
    Cause,
    Episode,
    EpisodeState,
    Member,
    Transition,
)
from schema.judgements import Judgement, Verdict
from schema.nights import Night, NightKind
from schema.session import reading, writing
from schema.store.episodes import episode, record_episodes
from schema.store.judgements import record_judgements
from schema.store.nights import record_night
from tailwatch.__main__ import main

NIGHT = "2026-11-22"
KEY = "4f1c0a9b2d3e5f60"
S = EpisodeState


@pytest.fixture
def database(
    database: str,
    make_night: Callable[..., Night],
    make_judgement: Callable[..., Judgement],
) -> str:
    """One suspected episode."""
    night = make_night()
    cause = Cause(
        attribution=Attribution.BUILD,
        subject="vllm",
        reasons=("the pinned build did not move on the same hosts",),
        builds=("vllm 0.31.0", "vllm 0.32.0"),
        nights=("2026-11-21", NIGHT),
    )
    member = Member(
        cell=night.cells[0].key, metric="itl_p50", kind=NightKind.NIGHTLY, night=NIGHT,
        change=0.091, p=0.0079, verdict=Verdict.REGRESSION,
    )  # fmt: skip
    step = Transition(night=NIGHT, state=S.SUSPECTED, reason="itl_p50 +9.1 %", cause=cause)
    with writing(database) as session:
        record_night(session, night)
        record_judgements(session, NIGHT, [make_judgement()])
        record_episodes(session, [Episode(key=KEY, members=(member,), history=(step,))])
    return database


def stored(url: str) -> Episode:
    with reading(url) as session:
        return episode(session, KEY)


def said(*options: str) -> list[str]:
    return ["episode", KEY[:4], *options, "--by", "mira", "--reason", "as agreed"]


def test_the_open_episodes_are_listed_one_cause_a_line(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["episodes"]) == 0
    headings, row = capsys.readouterr().out.splitlines()
    assert headings.split()[:4] == ["key", "state", "attribution", "cause"]
    expected = f"{KEY[:8]} suspected build vllm 0.31.0 → 0.32.0 1 in 1 cell {NIGHT} - -"
    assert " ".join(row.split()) == expected


def test_closed_ones_are_listed_when_asked_for(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(said("--close", "not-reproduced")) == 0
    capsys.readouterr()
    assert main(["episodes"]) == 0
    assert capsys.readouterr().err == "no episode is open; --all shows the closed ones\n"
    assert main(["episodes", "--all"]) == 0
    assert "not reproduced" in capsys.readouterr().out


def test_one_episode_tells_its_members_and_its_history(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--acknowledge", "--assign", "kim", "--due", "2026-12-01")
    assert main(said(*options, "--link", "https://example.com/1")) == 0
    told = capsys.readouterr().out
    assert f"{KEY}  acknowledged: vllm 0.31.0 → 0.32.0" in told
    assert "because the pinned build did not move on the same hosts" in told
    assert "owner kim, due 2026-12-01\nhttps://example.com/1" in told
    assert "itl_p50  +9.1 %  p 0.0079" in told
    step = f"{NIGHT}  mira: acknowledged, owner kim, due 2026-12-01, https://example.com/1"
    assert f"{step}: as agreed" in told


@pytest.mark.parametrize(
    ("flag", "state"),
    [
        ("--acknowledge", S.ACKNOWLEDGED),
        ("--expect", S.EXPECTED),
        ("--infrastructure", S.INFRASTRUCTURE),
        ("--confirm", S.CONFIRMED),
        ("--close=fixed", S.FIXED),
        ("--close=not-reproduced", S.NOT_REPRODUCED),
        ("--close=transient", S.TRANSIENT),
    ],
)
def test_a_person_takes_it_into_every_state_that_is_theirs_to_give(
    database: str, flag: str, state: EpisodeState
) -> None:
    assert main(said(flag)) == 0
    assert stored(database).state is state


def test_a_person_may_not_suspect() -> None:
    assert set(EpisodeState) - set(MAY) == {S.SUSPECTED}


def test_every_mistake_is_told_at_once_and_nothing_is_kept(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored(database)
    assert main(["episode", KEY, "--link", "example.com"]) == 2
    told = capsys.readouterr().err
    assert "who says so? give your name" in told
    assert "why? give a reason" in told
    assert "'example.com' is no address" in told
    assert stored(database) == before


def test_a_reason_alone_says_nothing(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(said()) == 2
    assert "give a state, an owner, a due date or a link" in capsys.readouterr().err


def test_what_the_state_does_not_allow_is_refused_with_the_next_step(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(said("--close", "fixed")) == 0
    assert main(said("--acknowledge")) == 2
    told = capsys.readouterr().err
    assert f"episode {KEY} is fixed since {NIGHT}: only an open one becomes acknowledged" in told
    assert main(said("--confirm")) == 0
    assert stored(database).is_open


def test_a_date_that_is_none_is_refused(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(said("--due", "tomorrow")) == 2
    assert "'tomorrow' is no date such as 2026-12-01" in capsys.readouterr().err


def test_a_key_that_is_none_says_where_to_find_one(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["episode", "zz"]) == 1
    assert "'zz' is none of them; `tailwatch episodes --all` lists" in capsys.readouterr().err
