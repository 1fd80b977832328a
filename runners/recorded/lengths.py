"""Lengths of requests from a file: CSV with a header, or JSON lines, in the traces' own words."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runners.errors import BadRequestFile
from runners.recorded.mistakes import decoded, refuse
from runners.recorded.shape import Shape

Row = tuple[int, dict[str, Any]]


def _number(value: Any) -> float:
    number = math.nan if isinstance(value, bool) else float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _milliseconds(value: Any) -> float:
    return _number(value) / 1000


def _moment(value: Any) -> float:
    """2023-11-16 18:17:03.9799600; without a zone it is UTC, differences are all that counts."""
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _count(value: Any) -> int:
    number = _number(value)
    if number < 0 or number != int(number):
        raise ValueError(f"{value!r} is no count")
    return int(number)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The words of one kind of file."""

    prompt: str
    answer: str
    at: str
    seconds: Callable[[Any], float]
    moment: str
    """What `at` should look like."""


DIALECTS = (
    # Azure LLM inference traces 2023 and 2024 (github.com/Azure/AzurePublicDataset).
    Dialect(
        prompt="ContextTokens", answer="GeneratedTokens", at="TIMESTAMP",
        seconds=_moment, moment="a time like 2023-11-16 18:17:03.98",
    ),
    # Mooncake traces (github.com/kvcache-ai/Mooncake). Their hash_ids tell which prompts share
    # prefixes; prompts here share none, so they are not read.
    Dialect(
        prompt="input_length", answer="output_length", at="timestamp",
        seconds=_milliseconds, moment="a number of milliseconds",
    ),
    Dialect(
        prompt="input_tokens", answer="output_tokens", at="at_s",
        seconds=_number, moment="a number of seconds",
    ),
)  # fmt: skip
"""How a file may call its columns."""


def read(content: bytes, name: str) -> tuple[Shape, ...]:
    """All requests of the file in its order.

    Raises BadRequestFile with every mistake as `file:line: key: what`.
    """
    text = decoded(content, name)
    wrong: list[tuple[int, str]] = []
    rows_of = _json_rows if text.lstrip().startswith("{") else _csv_rows
    rows = list(rows_of(text, wrong))
    if not rows:
        refuse(name, wrong or [(1, "has no requests")])
    dialect = _dialect(rows[0], name)
    shapes = [_shape(row, dialect, wrong) for row in rows]
    refuse(name, sorted(wrong))
    return tuple(shape for shape in shapes if shape is not None)


def _csv_rows(text: str, wrong: list[tuple[int, str]]) -> Iterator[Row]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        wrong.append((reader.line_num + 1, f"is not CSV: {error}"))


def _json_rows(text: str, wrong: list[tuple[int, str]]) -> Iterator[Row]:
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except ValueError as error:
            wrong.append((line, f"is not JSON: {error}"))
            continue
        if isinstance(row, dict):
            yield line, row
        else:
            wrong.append((line, "is not an object"))


def _dialect(row: Row, name: str) -> Dialect:
    line, columns = row
    for dialect in DIALECTS:
        if {dialect.prompt, dialect.answer} <= columns.keys():
            return dialect
    known = " or ".join(f"{one.prompt}, {one.answer}[, {one.at}]" for one in DIALECTS)
    seen = ", ".join(map(str, columns))
    raise BadRequestFile(f"{name}:{line}: has {seen}; known are {known}")


def _shape(row: Row, dialect: Dialect, wrong: list[tuple[int, str]]) -> Shape | None:
    line, columns = row
    found: dict[str, Any] = {}
    readings: Sequence[tuple[str, str, Callable[[Any], Any], str]] = (
        ("input_tokens", dialect.prompt, _count, "a number of tokens"),
        ("output_tokens", dialect.answer, _count, "a number of tokens"),
        ("at_s", dialect.at, dialect.seconds, dialect.moment),
    )
    for field, key, read_value, wanted in readings:
        if field == "at_s" and key not in columns:
            continue
        try:
            found[field] = read_value(columns.get(key))
        except (ValueError, TypeError, OverflowError):
            wrong.append((line, f"{key}: should be {wanted}, not {columns.get(key)!r}"))
    return Shape(**found) if {"input_tokens", "output_tokens"} <= found.keys() else None
