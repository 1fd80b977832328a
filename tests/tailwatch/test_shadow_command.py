"""shadow against a real database."""

from collections.abc import Callable
from pathlib import Path

import pytest

from regressions.night import judge_night
from regressions.policy import DEFAULT_POLICY, read_policy
from schema.nights import Night
from schema.session import reading, writing
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.silent import shadows
from schema.trials import Arm, Build, Launch, Trial
from tailwatch.__main__ import main

NIGHTS = ("2026-11-20", "2026-11-21")


@pytest.fixture
def database(
    database: str,
    make_night: Callable[..., Night],
    make_trial: Callable[..., Trial],
    make_launch: Callable[..., Launch],
    make_build: Callable[[str], Build],
) -> str:
    """Two judged nights of five launches; the second is 2 % slower."""
    for at, name in enumerate(NIGHTS):
        with writing(database) as session:
            plan = make_night(name)
            record_night(session, plan)
            for replicate in range(5):
                itl = {"itl_p50": 0.01 * (1 + 0.02 * at + 0.0001 * replicate)}
                trials = tuple(
                    make_trial(cell, measurements=itl, not_estimable={}) for cell in plan.cells
                )
                place = {"night": name, "arm": Arm.NIGHTLY, "replicate": replicate}
                record(session, make_launch(trials=trials, build=make_build("0.31.0"), **place))
            judge_night(session, name, read_policy())
    return database


@pytest.fixture
def keener(tmp_path: Path) -> Path:
    """The shipped policy, but 1 % of itl_p50 matters."""
    path = tmp_path / "keener.yaml"
    path.write_text(DEFAULT_POLICY.read_text().replace("itl_p50: 0.03", "itl_p50: 0.01"))
    return path


def test_a_shadow_judges_every_stored_night_and_tells_where_it_differs(
    database: str, keener: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shadow", str(keener)]) == 0
    told = capsys.readouterr()
    key = read_policy(keener).key
    assert told.out == f"policy {key}: 2 of 4 verdicts differ over 2 nights\n"
    assert told.err.splitlines() == [f"{name} judged in shadow" for name in NIGHTS]
    with reading(database) as session:
        [kept] = shadows(session)
    assert (kept.policy, kept.nights, kept.last_night) == (key, 2, NIGHTS[-1])


def test_it_begins_with_the_night_that_is_asked_for(
    database: str, keener: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shadow", str(keener), "--since", NIGHTS[1]]) == 0
    assert capsys.readouterr().out.endswith("2 of 2 verdicts differ over 1 night\n")
    assert main(["shadow", str(keener), "--since", "2027"]) == 2
    assert "no judged night since 2027" in capsys.readouterr().err


def test_a_bad_policy_judges_nothing(
    database: str, keener: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keener.write_text(keener.read_text().replace("alpha: 0.01 ", "alpha: 2 "))
    assert main(["shadow", str(keener)]) == 1
    assert "alpha" in capsys.readouterr().err
    with reading(database) as session:
        assert shadows(session) == []
