"""The page of imported series over a real database, and its words."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.imported import definition_line, last_change, sparkline, subject_line
from formats.recognise import read
from schema.imports import Definition, Subject, Tool
from schema.metrics import Direction
from schema.session import reading, writing
from schema.store.imported_series import imported_series
from schema.store.imports import record_import

FIXTURES = Path(__file__).parents[1] / "formats" / "fixtures"
Open = Callable[..., AppTest]


@pytest.fixture
def imported(database_url: str) -> str:
    with writing(database_url) as session:
        for path in sorted(FIXTURES.iterdir()):
            record_import(session, read(path.name, path.read_bytes()))
    return database_url


def seen(page: AppTest) -> str:
    assert not page.exception, page.exception
    parts = [own.body for own in page.html]
    parts += [own.value for own in (*page.markdown, *page.caption, *page.info, *page.subheader)]
    return re.sub(r"<[^>]+>", " ", " ".join(parts))


def test_without_imports_the_page_says_how_to_make_some(database_url: str, open_page: Open) -> None:
    assert "Nothing was imported yet: `tailwatch import FILE...`" in seen(
        open_page(database_url, "imported")
    )


def test_the_overview_tells_the_definition_in_words(imported: str, open_page: Open) -> None:
    page = open_page(imported, "imported", tool="guidellm")
    box = page.selectbox(key="choice-guidellm-definition")
    box.select_index(next(at for at, name in enumerate(box.options) if "inter_token" in name)).run()
    text = seen(page)
    assert "of guidellm (schema " in text
    assert "a request's mean gap, (last - first token) / (answer tokens - 1)" in text
    assert "No metric of ours is defined like this" in text


def test_searching_leaves_what_has_all_the_words(imported: str, open_page: Open) -> None:
    page = open_page(imported, "imported", tool="vllm-bench-serve")
    page.text_input[0].input("example/model TP 2").run()
    assert "match the search" in seen(page)


def test_a_series_is_shown_by_its_address_with_failed_trials_marked(
    imported: str, open_page: Open
) -> None:
    with reading(imported) as session:
        own = next(one for one in imported_series(session, Tool.ATOM) if one.not_valid)
    page = open_page(
        imported, "imported", tool=Tool.ATOM, subject=own.subject, definition=own.definition
    )
    text = seen(page)
    assert "crosses mark 1 that failed or are invalid" in text
    assert "nothing was measured: all values are 0 or absent" in text
    assert "atom.csv:5" in text


def test_a_definition_equal_to_ours_is_named_and_kept_apart() -> None:
    meaning = Definition(
        tool=Tool.VLLM, name="p99_tpot_ms", words="99th percentile of x", unit="s",
        direction=Direction.LOWER, metric="tpot_p99",
    )  # fmt: skip
    assert definition_line(meaning) == (
        "`p99_tpot_ms` of vllm-bench-serve: 99th percentile of x, in s, lower is better. "
        "Defined as our `tpot_p99`; kept apart from it all the same."
    )


def test_a_subject_says_only_what_was_told() -> None:
    assert subject_line(Subject(input_tokens=1024, concurrency=64, gpus=1)) == (
        "1,024 → ? tokens, 64 in flight, 1 GPU"
    )
    assert subject_line(Subject()) == "nothing told"


def test_a_change_needs_values_before_it() -> None:
    assert last_change([1.0, 1.0, 1.1]) is None
    assert last_change([1.0, 1.0, 1.0, 1.1]) == pytest.approx(0.1)


def test_a_sparkline_of_equal_values_is_a_picture() -> None:
    assert sparkline([2.0, 2.0]).startswith("data:image/svg+xml;base64,")
