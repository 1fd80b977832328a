"""Episodes on the pages: what is told, and what a person can say there."""

import re
from collections.abc import Callable, Container
from datetime import date

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.sparkline import sparkline
from schema.episodes import Episode, EpisodeState
from schema.session import reading, writing
from schema.store.episodes import episodes
from schema.store.nights import night, record_night

Open = Callable[..., AppTest]


def stored(url: str) -> list[Episode]:
    with reading(url) as session:
        return episodes(session)


def text(page: AppTest) -> str:
    assert not page.exception, page.exception
    seen = [*page.caption, *page.info, *page.warning, *page.error, *page.subheader]
    parts = [one.body for one in page.html] + [one.value for one in seen]
    return re.sub(r"<[^>]+>", " ", " ".join(parts))


def worse(url: str) -> Episode:
    return next(one for one in stored(url) if one.is_open)


def field(page: AppTest, label: str):
    boxes = [*page.text_input, *page.text_area, *page.selectbox, *page.date_input]
    return next(one for one in boxes if one.label == label)


def test_tonight_begins_with_one_line_a_cause(release, open_page: Open) -> None:
    page = open_page(release.url)
    assert page.subheader[0].value == "Episodes"
    seen = text(page)
    assert "vllm 0.31.0 → 0.32.0 confirmed" in " ".join(seen.split())
    assert f"episodes?episode={worse(release.url).key}" in " ".join(o.body for o in page.html)


def test_a_night_before_it_was_opened_does_not_show_it(release, open_page: Open) -> None:
    page = open_page(release.url, night="2026-11-18")
    assert "No episode about the cells of this night was open." in text(page)


def test_an_open_episode_about_other_cells_is_folded_and_not_in_the_sentence(
    own: str, open_page: Open
) -> None:
    found = worse(own)
    page = open_page(own, night=planned(own, without=found.cells))
    seen = text(page)
    assert "No episode about the cells of this night was open." in seen
    assert "still open" not in seen
    folded = next(one for one in page.expander if one.label.startswith("Not judged"))
    assert folded.label == "Not judged in this night: 1 open episode about other cells"
    assert found.key in folded.children[0].proto.body


def test_an_open_episode_of_which_the_night_decided_nothing_says_so(
    own: str, open_page: Open
) -> None:
    seen = text(open_page(own, night=planned(own)))
    assert "somebody has to look; tonight decides nothing about it" in seen
    opened = text(open_page(own, night=worse(own).opened))
    assert "tonight decides nothing" not in opened


def planned(url: str, without: Container[str] = ()) -> str:
    """A later night of the release's cells, but for some; it has made no trial."""
    with writing(url) as session:
        before = night(session, worse(url).opened)
        cells = tuple(cell for cell in before.cells if cell.key not in without)
        record_night(session, before.model_copy(update={"name": "2026-11-22", "cells": cells}))
    return "2026-11-22"


def test_one_episode_tells_why_what_and_how_it_came_to_be(release, open_page: Open) -> None:
    found = worse(release.url)
    seen = text(open_page(release.url, "episodes", episode=found.key))
    assert "vllm 0.31.0 → 0.32.0: confirmed" in seen
    assert "both builds ran in turns on the same hosts in the same night" in seen
    assert "itl_p50" in seen
    assert "vllm 0.31.0, night" in seen
    assert found.history[0].reason in seen


def test_an_unknown_episode_is_reported_and_the_list_is_shown(release, open_page: Open) -> None:
    page = open_page(release.url, "episodes", episode="none")
    assert "asks for episode 'none', which is not recorded" in text(page)
    assert page.subheader[0].value == "Open"


def test_without_an_episode_the_page_says_when_there_will_be_one(
    database_url: str, open_page: Open
) -> None:
    assert "No episode was ever opened" in text(open_page(database_url, "episodes"))


def test_what_is_said_on_the_page_is_kept(own: str, open_page: Open) -> None:
    page = open_page(own, "episodes", episode=worse(own).key)
    field(page, "State").select(EpisodeState.ACKNOWLEDGED)
    field(page, "Owner").input("kim")
    field(page, "Due").set_value(date(2026, 12, 1))
    field(page, "Your name").input("mira")
    field(page, "Reason").input("a fix is under review")
    page.button[0].click().run()
    kept = worse(own)
    last = kept.history[-1]
    assert (kept.state, kept.owner, kept.due) == ("acknowledged", "kim", date(2026, 12, 1))
    assert (last.by, last.reason) == ("mira", "a fix is under review")
    assert "a fix is under review" in text(page)


def test_a_reason_and_a_name_are_asked_for_and_nothing_is_kept(own: str, open_page: Open) -> None:
    before = stored(own)
    page = open_page(own, "episodes", episode=worse(own).key)
    field(page, "Owner").input("kim")
    page.button[0].click().run()
    assert [one.value.partition("?")[0] for one in page.error] == ["who says so", "why"]
    assert stored(own) == before


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([0.0, 0.0], "▁▁"),
        ([100, 100, 110, 110], "▁▁██"),
        ([100, 100.5, 100], "▁▃▁"),
        ([110, 100], "█▁"),
    ],
)
def test_a_sparkline_draws_steps_and_keeps_noise_low(values: list[float], drawn: str) -> None:
    assert sparkline(values) == drawn
