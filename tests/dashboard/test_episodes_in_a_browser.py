"""Two episodes through their nights, as somebody sees them who opens the dashboard each morning."""

import re
import time
from collections.abc import Callable, Mapping, Set
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from regressions.night import judge_night
from regressions.policy import read_policy
from schema.cells import Cell, Engine
from schema.nights import Night
from schema.session import reading, writing
from schema.store.episodes import episodes
from schema.store.launches import record
from schema.store.nights import record_night
from schema.trials import Arm, Build, Launch, Trial

pytestmark = pytest.mark.browser

LAUNCHES = 4
NOISE = (1.0, 1.004, 0.997, 1.002, 0.999, 1.001, 0.998, 1.003)
SLOW = 1.1
GOOD, BAD, MENDED = "0.32.0", "0.33.0", "0.33.1"
WORKLOADS = ("steady", "burst")
SHOWS_WITHIN_S = 90
"""The dashboard keeps what it read for 20 s."""
Cells = Set[tuple[Engine, str]]
"""Cells of a night by engine and workload."""
VLLM, SGLANG = Engine.VLLM, Engine.SGLANG


@pytest.fixture
def measured(
    own_database_url: str,
    make_night: Callable[..., Night],
    make_cell: Callable[..., Cell],
    make_launch: Callable[..., Launch],
    make_trial: Callable[..., Trial],
    make_build: Callable[..., Build],
) -> Callable[..., str]:
    """Records and judges a nightly of both engines and their pinned builds; gives its name."""
    cells = {(engine, name): make_cell(name, engine) for engine in Engine for name in WORKLOADS}

    def launched(
        name: str, engine: Engine, arm: Arm, version: str, at: int, slower: Cells, absent: Cells
    ) -> Launch:
        trials = tuple(
            make_trial(cell, measurements={"itl_p50": 0.01 * NOISE[at % len(NOISE)] * factor})
            for (of, workload), cell in cells.items()
            if of is engine and (of, workload) not in absent
            for factor in [SLOW if arm is Arm.NIGHTLY and (of, workload) in slower else 1.0]
        )
        build = make_build(version, engine)
        return make_launch(trials=trials, night=name, arm=arm, replicate=at % 4, build=build)

    def nightly(
        day: int, builds: Mapping[Engine, str], slower: Cells, absent: Cells = frozenset()
    ) -> str:
        name = f"2026-11-{day:02d}"
        asked = tuple(f"{engine}=={version}" for engine, version in builds.items())
        with writing(own_database_url) as session:
            record_night(session, make_night(name, cells=tuple(cells.values()), contenders=asked))
            for engine, version in builds.items():
                for arm, built in ((Arm.NIGHTLY, version), (Arm.CONTROL, "0.30.0")):
                    for replicate in range(LAUNCHES):
                        at = 4 * day + replicate
                        record(session, launched(name, engine, arm, built, at, slower, absent))
            judge_night(session, name, read_policy())
        return name

    return nightly


def _key(url: str, subject: str) -> str:
    with reading(url) as session:
        [found] = [one for one in episodes(session) if one.cause.subject == subject]
    return found.key


def _seen(page: Page, address: str, *texts: str) -> None:
    """Opens an address until all these texts are on the page."""
    deadline = time.monotonic() + SHOWS_WITHIN_S
    while True:
        page.goto(address, wait_until="domcontentloaded")
        body = page.get_by_test_id("stMain")
        expect(page.get_by_role("heading").first).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=60_000)
        shown = " ".join(body.inner_text().split())
        if all(text in shown for text in texts):
            return
        missing = [text for text in texts if text not in shown]
        assert time.monotonic() < deadline, f"{missing} not in: {shown}"


def _say(page: Page, choice: str | None, reason: str, **fields: str) -> None:
    """What a person types and chooses in the form of the open page."""
    if choice:
        page.get_by_label("State").click()
        page.get_by_role("option", name=re.compile(f"^{choice}")).click()
    for label, text in {"Your name": "mira", "Reason": reason, **fields}.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Say it").click()
    expect(page.get_by_label("Reason")).to_have_value("", timeout=60_000)
    history = page.get_by_role("table", name="history")
    expect(history.get_by_role("row").nth(1)).to_contain_text(reason, timeout=60_000)


def test_two_episodes_are_seen_through_their_nights(
    measured: Callable[..., str],
    own_database_url: str,
    serving: Callable[[str, Path], object],
    tmp_path: Path,
    page: Page,
) -> None:
    both = {(VLLM, name) for name in WORKLOADS}
    brief = {(SGLANG, name) for name in WORKLOADS}
    bad, new = {VLLM: BAD, SGLANG: BAD}, {VLLM: BAD, SGLANG: MENDED}
    for day in range(1, 5):
        measured(day, {VLLM: GOOD, SGLANG: GOOD}, set())
    measured(5, bad, both | brief, absent={(VLLM, "burst")})
    vllm, sglang = _key(own_database_url, "vllm"), _key(own_database_url, "sglang")
    with serving(own_database_url, tmp_path) as dashboard:
        of_vllm, of_sglang = (f"{dashboard}/episodes?episode={key}" for key in (vllm, sglang))
        tonight = f"{dashboard}/?night=2026-11-"
        _seen(page, f"{tonight}05", "vllm 0.32.0 → 0.33.0 suspected",
              "sglang 0.32.0 → 0.33.0 suspected", "seen in one night; the next decides",
              "1 metric in 1 cell")  # fmt: skip
        _seen(page, of_vllm, "vllm 0.32.0 → 0.33.0: suspected",
              "the pinned build did not move on the same hosts")  # fmt: skip

        # the workload that was not measured joins; the other engine had it for one night
        measured(6, new, both)
        _seen(page, f"{tonight}06", "confirmed seen again; somebody has to look",
              "transient one night only")  # fmt: skip
        _seen(page, of_sglang, "sglang 0.32.0 → 0.33.0: transient",
              "one night only: 2026-11-06 is at the last good level")  # fmt: skip

        _seen(page, of_vllm, "vllm 0.32.0 → 0.33.0: confirmed", "still there in 2026-11-06")
        moved = page.get_by_role("table", name="members").get_by_role("row")
        expect(moved).to_have_count(1 + len(WORKLOADS))
        _say(page, "acknowledge", "a fix is under review", Owner="kim",
             Link="https://tracker.example/7")  # fmt: skip
        _seen(page, of_vllm, ": acknowledged", "Somebody knows about it", "Owner kim",
              "mira", "a fix is under review")  # fmt: skip
        _say(page, "expect", "the price of a correct sampler")
        _seen(page, of_vllm, ": expected", "the new level is the baseline")

        # the accepted level is no news and keeps the spread; what was gone is back
        measured(7, bad, both | brief)
        _seen(page, of_sglang, "sglang 0.32.0 → 0.33.0: suspected", "the same step is back")
        cell = _cell_of(own_database_url, vllm)
        _seen(page, f"{dashboard}/compare?night=2026-11-07&cell={cell}&metric=itl_p50",
              "2026-11-05 was accepted", "24 v 4")  # fmt: skip

        measured(8, bad, both | brief)
        _seen(page, of_sglang, ": confirmed", "still there in 2026-11-08")
        for day in (9, 10):
            measured(day, new, both)
        _seen(page, of_sglang, "sglang 0.32.0 → 0.33.0: fixed", "Back at the last good level",
              "away from the bad one, in 2 cells")  # fmt: skip
        _seen(page, f"{dashboard}/episodes", "Nothing is open", "Closed: 2")


def _cell_of(url: str, key: str) -> str:
    with reading(url) as session:
        [found] = [one for one in episodes(session) if one.key == key]
    return found.members[0].cell
