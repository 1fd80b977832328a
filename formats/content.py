"""From text to records with their lines: JSON in all its habits, YAML, CSV."""

import csv
import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from formats.errors import Unreadable

_SCRIPT = re.compile(r"\s*window\.BENCHMARK_DATA\s*=\s*")
_SPACE = re.compile(r"[\s\0]*")
LONGEST_FIELD = 2**27
"""Characters: per-request tables keep every token's time in one field."""
LARGEST_BITS = 1024
_BROKEN = (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError, AttributeError)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader, in C where it is built, without numbers that Python cannot write out again."""

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        value: int = self.construct_yaml_int(node)
        if value.bit_length() > LARGEST_BITS:
            raise yaml.constructor.ConstructorError(
                None, None, "a number too large", node.start_mark
            )
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One JSON value, YAML document or row of a table."""

    value: Any
    line: int
    """Where it begins, from 1."""
    text: str = ""
    """As written, to find the line of a key."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """A file taken apart; which tool wrote it is not known yet."""

    records: tuple[Record, ...] = ()
    """Of JSON and YAML."""
    rows: tuple[tuple[int, list[str]], ...] = ()
    """Of CSV, each with its line; the header is the first."""

    @property
    def first(self) -> dict[str, Any]:
        """The first object; empty when the file does not begin with one."""
        value = self.records[0].value if self.records else None
        return value if isinstance(value, dict) else {}

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(self.rows[0][1]) if self.rows else ()


def content_of(text: str) -> Content:
    """Take a text apart; raises Unreadable."""
    script = _SCRIPT.match(text)
    if script:
        return Content(records=_objects(text, script.end()))
    start = text.lstrip("\0 \t\r\n")[:1]
    if start in {"{", "["}:
        return Content(records=_objects(text, 0))
    first_line = text.strip().splitlines()[0]
    if first_line.count(",") >= 2 and ": " not in first_line:
        return Content(rows=_rows(text))
    return Content(records=_yaml(text))


def _objects(text: str, at: int) -> tuple[Record, ...]:
    """One JSON value after the other, whatever space or semicolon is between them."""
    decoder, records, line, counted = json.JSONDecoder(), [], 1, 0
    while (at := _after_space(text, at)) < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
            why = "ends too early" if cut else f"is not JSON: {error.msg}"
            raise Unreadable(why, error.lineno) from error
        except (ValueError, RecursionError) as error:  # a number or a nesting without end
            raise Unreadable(f"is not JSON that can be read: {error}", line) from error
        records.append(Record(value=value, line=line, text=text[at:end]))
        at = end + 1 if text[end : end + 1] == ";" else end
    return tuple(records)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _rows(text: str) -> tuple[tuple[int, list[str]], ...]:
    if not text.rstrip("\0").endswith(("\n", "\r")):
        last = text.count("\n") + 1
        raise Unreadable("ends too early: a line break ends every row that was written whole", last)
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    rows, line = [], 1
    before = csv.field_size_limit(LONGEST_FIELD)  # one limit for the whole process: given back
    try:
        for row in reader:
            if any(field.strip() for field in row):
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        cut = "unexpected end" in str(error)
        raise Unreadable("ends too early" if cut else f"is not CSV: {error}", line) from error
    finally:
        csv.field_size_limit(before)
    return tuple(rows)


def _yaml(text: str) -> tuple[Record, ...]:
    try:
        value = yaml.load(text, Loader=_Loader)
    except _BROKEN as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise Unreadable(
            f"is neither JSON nor CSV nor YAML: {what}", mark.line + 1 if mark else 1
        ) from error
    return (Record(value=value, line=1, text=text),)
