"""The pages in a real browser: nothing breaks, and a finding leads to its evidence."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

SHOWS_WITHIN_MS = 60_000
Serving = Callable[[str, Path], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def dashboard(release, serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard over the seeded nights."""
    with serving(release.url, tmp_path_factory.mktemp("dashboard")) as address:
        yield address


@pytest.fixture
def own_dashboard(own: str, serving: Serving, tmp_path: Path) -> Iterator[str]:
    """One over nights of which a test may say something."""
    with serving(own, tmp_path) as address:
        yield address


def _open(page: Page, dashboard: str, path: str, text: str, **parameters: str) -> None:
    address = f"{dashboard}/{path}?{urlencode(parameters)}"
    page.goto(address, wait_until="domcontentloaded")  # a websocket stays open: never idle
    _settled(page, text)


def _settled(page: Page, text: str) -> None:
    """Waits for a text and for the end of the script; no box with an exception is on the page."""
    expect(page.get_by_text(text).first).to_be_visible(timeout=SHOWS_WITHIN_MS)
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=SHOWS_WITHIN_MS
    )
    expect(page.get_by_test_id("stException")).to_have_count(0)


def _charts(page: Page, count: int) -> None:
    expect(page.locator(".js-plotly-plot .main-svg:first-child")).to_have_count(
        count, timeout=SHOWS_WITHIN_MS
    )


def test_a_click_on_a_finding_leads_to_its_trials(release, dashboard: str, page: Page) -> None:
    _open(page, dashboard, "", "1 of 4 cells got slower")
    worse = page.get_by_role("table", name="got worse")
    worse.get_by_role("link", name="itl_p50").click()
    _settled(page, "A point is a trial; a click opens it.")
    expect(page.get_by_text("Regression", exact=True)).to_be_visible()
    assert f"cell={release.cell}" in page.url
    _charts(page, 2)


def test_a_click_on_a_failed_trial_leads_to_its_log(dashboard: str, page: Page) -> None:
    _open(page, dashboard, "", "1 of 4 cells got slower")
    page.get_by_text("Repeated: 2 attempts").click()
    page.get_by_role("table", name="repeated").get_by_role("link", name="failed").first.click()
    _settled(page, "Failed: it did not end")
    expect(page.get_by_text("CUDA error: out of memory")).to_be_visible()


def test_a_click_on_a_point_of_a_series_leads_to_its_trial(
    release, dashboard: str, page: Page
) -> None:
    _open(
        page, dashboard, "series", "A point is a valid trial", cell=release.cell, metric="itl_p50"
    )
    _charts(page, 1)
    page.locator(".js-plotly-plot .points path").last.hover(force=True)
    page.mouse.down()
    page.mouse.up()
    _settled(page, "Valid: its numbers enter the samples")
    assert "/trial?trial=" in page.url


def test_a_click_on_a_change_chooses_its_metric(release, dashboard: str, page: Page) -> None:
    _open(page, dashboard, "compare", "Every metric", night=release.night, cell=release.cell)
    _charts(page, 2)
    page.locator(".js-plotly-plot").first.locator(".points path").first.hover(force=True)
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile("metric=output_throughput"), timeout=SHOWS_WITHIN_MS)
    _settled(page, "A point is a trial; a click opens it.")


def test_a_valid_trial_draws_all_its_charts(release, dashboard: str, page: Page) -> None:
    _open(page, dashboard, "trial", "Command and log", trial=release.valid)
    _charts(page, 4)


def test_a_sparse_model_is_drawn_beside_a_dense_one(
    hopper_url: str, serving: Serving, tmp_path: Path, page: Page
) -> None:
    with serving(hopper_url, tmp_path) as address:
        _open(page, address, "moe", "Where the memory went", place="h200-vllm")
        _charts(page, 7)  # batch curves, tails, memory, three splits, experts
        beside = page.get_by_role("table", name="sparse beside dense")
        beside.get_by_role("link").filter(has_text="tok/s").first.click()
        _settled(page, "A point is a valid trial")
        assert "metric=output_throughput" in page.url


def test_the_addresses_of_the_pages_survive_the_navigation(dashboard: str, page: Page) -> None:
    _open(page, dashboard, "", "1 of 4 cells got slower")
    for name, text in (("Series", "lower is better"), ("Compare", "Every metric")):
        page.get_by_role("link", name=name, exact=True).first.click()
        _settled(page, text)
        assert page.url.startswith(f"{dashboard}/{name.lower()}")


def test_the_detector_page_chooses_what_to_look_for(dashboard: str, page: Page) -> None:
    _open(page, dashboard, "detector", "False alarms: cannot tell yet", change="5")
    _charts(page, 1)
    page.get_by_label("Change to look for").click()
    page.get_by_role("option", name="2 %", exact=True).click()
    expect(page).to_have_url(re.compile("change=2$"), timeout=SHOWS_WITHIN_MS)
    power = page.get_by_role("table", name="power", exact=True)
    expect(power).to_contain_text("no change below 3 %", timeout=SHOWS_WITHIN_MS)
    power.get_by_role("link").first.click()
    _settled(page, "A point is a valid trial")


def test_an_episode_walks_through_every_state_that_a_person_gives(
    own_dashboard: str, page: Page
) -> None:
    _open(page, own_dashboard, "", "1 of 4 cells got slower")
    causes = page.get_by_role("table", name="episodes", exact=True).get_by_role("link")
    causes.filter(has_text="vllm 0.31.0 → 0.32.0").first.click()
    _settled(page, "Say something")
    said = ("acknowledge", "infrastructure", "expect", "confirm", "close as not reproduced",
            "confirm", "close as transient", "confirm", "close as fixed")  # fmt: skip
    states = ("acknowledged", "infrastructure", "expected", "confirmed", "not reproduced",
              "confirmed", "transient", "confirmed", "fixed")  # fmt: skip
    for at, (choice, state) in enumerate(zip(said, states, strict=True)):
        page.get_by_label("State").click()
        page.get_by_role("option", name=re.compile(f"^{choice}")).click()
        page.get_by_label("Your name").fill("mira")
        page.get_by_label("Reason").fill(f"step {at}")
        page.get_by_role("button", name="Say it").click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text(re.compile(f": {state}$"), timeout=SHOWS_WITHIN_MS)
        _settled(page, f"step {at}")  # until then the form before it may stand beside the new one
        expect(page.get_by_label("Reason")).to_have_value("")
    history = page.get_by_role("table", name="history").get_by_role("row")
    expect(history).to_have_count(2 + len(said))
