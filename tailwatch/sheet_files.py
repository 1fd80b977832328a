"""Rows into a file: Parquet, CSV or JSON lines, whole or not at all."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schema.store.exports import Kind, Row, Sheet
from tailwatch.errors import TailwatchError

ROW_GROUP = 20_000
_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.WHOLE: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.TRUTH: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.NUMBERS: pa.list_(pa.float64()),
    Kind.WHOLES: pa.list_(pa.int64()),
    Kind.FACTS: pa.string(),
}


def write_sheet(sheet: Sheet, rows: Iterable[Row], path: Path, kind: str) -> int:
    """Write the rows beside `path`, then put the file in its place; returns how many."""
    beside = path.with_name(f".{path.name}.part")
    try:
        written = WRITERS[kind](sheet, (_row(sheet, row) for row in rows), beside)
        beside.replace(path)
    except OSError as error:
        raise TailwatchError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return written


def _row(sheet: Sheet, row: Row) -> Row:
    """The columns of the sheet; objects as JSON text."""
    return {
        name: json.dumps(row[name], sort_keys=True) if kind is Kind.FACTS else row[name]
        for name, kind in sheet.columns.items()
    }


def _parquet(sheet: Sheet, rows: Iterator[Row], path: Path) -> int:
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in sheet.columns.items()])
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(rows, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            written += len(batch)
    return written


def _csv(sheet: Sheet, rows: Iterator[Row], path: Path) -> int:
    """Lists as JSON, what is not known as an empty field."""
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(sheet.columns)
        for row in rows:
            writer.writerow([_text(value) for value in row.values()])
            written += 1
    return written


def _text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return json.dumps(value)
    return _plain(value)


def _jsonl(_sheet: Sheet, rows: Iterator[Row], path: Path) -> int:
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            plain = {name: _plain(value) for name, value in row.items()}
            file.write(json.dumps(plain, allow_nan=False) + "\n")
            written += 1
    return written


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value


WRITERS: dict[str, Callable[[Sheet, Iterator[Row], Path], int]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _jsonl,
}
