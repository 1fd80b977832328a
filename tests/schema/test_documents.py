"""Mistakes in files that people write are told all at once, where they are."""

from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from schema.documents import BadDocument, parse_yaml, read_yaml
from schema.words import Word


class Colour(StrEnum):
    GREEN = "green"
    BLUE = "blue"


class Leaf(Word):
    colour: Colour
    width: float = Field(gt=0)


class Tree(Word):
    name: str
    leaves: tuple[Leaf, ...] = ()
    heights: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _named(self) -> "Tree":
        if self.name == "stump":
            raise ValueError("a stump is not a tree")
        return self


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(BadDocument) as caught:
        parse_yaml(text, Tree, name="tree.yaml")
    assert str(caught.value) == "\n".join(caught.value.messages)
    return caught.value.messages


def test_a_good_file_becomes_the_word(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text(
        "\ufeffname: oak\nleaves:\n  - &leaf {colour: green, width: 2}\n  - *leaf\n"
        "heights: {spring: 1.5}\n",
        encoding="utf-8",
    )
    tree = read_yaml(path, Tree)
    assert tree.leaves[0] == tree.leaves[1] == Leaf(colour=Colour.GREEN, width=2)
    assert tree.heights == {"spring": 1.5}


def test_every_mistake_is_in_one_message_in_the_order_of_the_lines() -> None:
    text = """\
leafs: []
leaves:
  - colour: gren
    width: -1
  - width: 2
    widht: 3
heights:
  spring: tall
  spring: 2
"""
    assert mistakes(text) == (
        "tree.yaml:1: name: is missing",
        "tree.yaml:1: leafs: is not a key here; did you mean leaves?",
        "tree.yaml:3: leaves[0].colour: Input should be 'green' or 'blue', not 'gren'; "
        "did you mean green?",
        "tree.yaml:4: leaves[0].width: Input should be greater than 0, not -1",
        "tree.yaml:5: leaves[1].colour: is missing",
        "tree.yaml:6: leaves[1].widht: is not a key here; did you mean width?",
        "tree.yaml:8: heights.spring: Input should be a valid number, unable to parse string as "
        "a number, not 'tall'",
        "tree.yaml:9: heights.spring: given twice, first on line 8; keep one",
    )


def test_an_unlike_key_is_answered_with_the_known_ones() -> None:
    assert mistakes("name: oak\nzzz: 1\n") == (
        "tree.yaml:2: zzz: is not a key here; known: name, leaves, heights",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tree.yaml:1: is empty"),
        ("# only a comment\n", "tree.yaml:1: is empty"),
        ("- a\n- b\n", "tree.yaml:1: should be `key: value` lines"),
        ("just words", "tree.yaml:1: should be `key: value` lines"),
        ("name: stump\n", "tree.yaml:1: a stump is not a tree"),
        ("name: &a [*a]\n", "tree.yaml:1: name[0]: refers to itself; write the value out"),
        ("name: oak\n? [1, 2]\n: 3\n", "tree.yaml:2: a key must be a plain word"),
        ("name: !!python/name:os.system x\n", "could not determine a constructor"),
        ("name: 2026-13-40\n", "tree.yaml:1: name: month must be in 1..12"),
        ("name: oak\n---\nname: elm\n", "tree.yaml:2: is not YAML"),
        ("name: oak\n\tleaves: []\n", "tree.yaml:2: is not YAML"),
        ("name: o\x00k\n", "tree.yaml:1: is not YAML"),
    ],
)
def test_a_file_that_is_no_document_says_why(text: str, message: str) -> None:
    assert message in mistakes(text)[0]


def test_a_file_that_is_not_text_or_not_there_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    with pytest.raises(BadDocument, match=r"tree\.yaml:1: cannot be read: No such file"):
        read_yaml(path, Tree)
    path.write_bytes(b"name: oak\nleaves: \xff\n")
    with pytest.raises(BadDocument, match=r"tree\.yaml:2: is not UTF-8 text"):
        read_yaml(path, Tree)


@given(st.text(alphabet="ab:-[]{}&*!?'\"# \n\t0.", max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    refused: tuple[str, ...] = ()
    try:
        parse_yaml(text, Tree, name="t")
    except BadDocument as mistaken:
        refused = mistaken.messages
    assert all(message.startswith("t:") for message in refused)
