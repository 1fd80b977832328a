"""Every situation reads as it was reviewed, and Slack accepts it.

UPDATE_GOLDEN=1 writes the files anew; review them like code.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.blocks import LONGEST_HEADER, LONGEST_TEXT, MOST_BLOCKS, Block, as_blocks
from alerts.digest import Digest, Group, Links, Row, Section, digest
from alerts.findings import Findings
from alerts.text import as_text
from alerts.units import pair

GOLDEN = Path(__file__).parents[1] / "golden" / "digests"
LINKS = Links(dashboard="http://tailwatch.example:8501/")
Situations = dict[str, Callable[[], Findings]]


def check(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.name} is missing: UPDATE_GOLDEN=1 writes it"
    assert text == path.read_text(encoding="utf-8"), "if meant, UPDATE_GOLDEN=1 and review"


def texts(blocks: list[Block]) -> Iterator[str]:
    for block in blocks:
        for part in [block.get("text"), *block.get("elements", [])]:
            if part:
                yield part["text"]


def test_a_terminal_shows_it(situation: tuple[str, Findings]) -> None:
    name, findings = situation
    check(GOLDEN / f"{name}.txt", as_text(digest(findings, LINKS)))


def test_slack_shows_it_within_its_limits(situation: tuple[str, Findings]) -> None:
    name, findings = situation
    blocks = as_blocks(digest(findings, LINKS))
    assert len(blocks) <= MOST_BLOCKS
    assert all(0 < len(text) <= LONGEST_TEXT for text in texts(blocks))
    assert len(blocks[0]["text"]["text"]) <= LONGEST_HEADER
    check(
        GOLDEN / f"{name}.json", json.dumps({"blocks": blocks}, indent=1, ensure_ascii=False) + "\n"
    )


@pytest.mark.parametrize("name", ["episode-still-open", "episode-confirmed", "episode-back"])
def test_what_an_episode_holds_is_one_line(situations: Situations, name: str) -> None:
    told = digest(situations[name](), LINKS)
    rows = [row for section in told.sections for group in section.groups for row in group.rows]
    assert [row.link for row in rows] == [
        "http://tailwatch.example:8501/episodes?episode=4f1c0a9b2d3e5f60"
    ]


def test_what_slack_does_not_take_is_counted(situations: Situations) -> None:
    whole = digest(situations["more-than-slack-takes"](), LINKS)
    rows = sum(len(group.rows) for section in whole.sections for group in section.groups)
    blocks = as_blocks(whole)
    shown = sum(text.count("• ") for text in texts(blocks))
    [*_, last] = texts(blocks)
    assert last.startswith(f"and {rows - shown} more: <http://tailwatch.example:8501")
    assert shown < rows


def test_a_cell_with_more_rows_than_a_section_takes_counts_the_rest() -> None:
    rows = tuple(Row(label=f"m{at}", text="<&>" * 100) for at in range(40))
    section = Section(title="Worse", groups=(Group(title="cell", rows=rows),))
    whole = Digest(
        night="n", headline="h", is_bad=True, context="c", link=None, sections=(section,)
    )
    text = as_blocks(whole)[2]["text"]["text"]
    assert len(text) <= LONGEST_TEXT
    assert text.endswith(f"and {40 - text.count('• ')} more")
    assert "&lt;&amp;&gt;" in text


def test_without_a_dashboard_there_are_no_links(situations: Situations) -> None:
    plain = digest(situations["both"](), Links(dashboard=None))
    assert plain.link is None
    assert "http" not in as_text(plain)
    assert "<http" not in "".join(texts(as_blocks(plain)))


@pytest.mark.parametrize(
    ("name", "is_bad"),
    [
        ("quiet-night", False),
        ("improvement-only", False),
        ("inconclusive-only", False),
        ("known-regression", False),
        ("recovery", False),
        ("episode-suspected", False),
        ("episode-still-open", False),
        ("episode-fixed", False),
        ("episode-back", False),
        ("episode-confirmed", True),
        ("one-regression", True),
        ("half-of-the-cells-failed", True),
        ("nothing-ran", True),
    ],
)
def test_somebody_has_to_look_only_when_something_is_wrong(
    situations: Situations, name: str, is_bad: bool
) -> None:
    assert digest(situations[name](), LINKS).is_bad is is_bad


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ((0.0112, 0.01236), "s", "11.20 → 12.36 ms"),
        ((0.98, 1.02), "s", "0.9800 → 1.020 s"),
        ((2345.6, 2100.0), "tok/s", "2,346 → 2,100 tok/s"),
        ((71.5 * 2**30, None), "B", "71.50 → \N{EN DASH} GiB"),
        ((0.0, 0.0), "s", "0 → 0 µs"),
        ((1.7, 2.0), "1", "1.700 → 2.000"),
        ((0.41, 0.45), "J/tok", "410.0 → 450.0 mJ/tok"),
    ],
)
def test_values_have_the_unit_that_people_use(
    values: tuple[float | None, float | None], unit: str, text: str
) -> None:
    assert pair(*values, unit) == text
