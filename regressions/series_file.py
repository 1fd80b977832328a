"""A file of series, read strictly: every mistake at once, with file, line and column."""

import csv
import gzip
import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from schema.documents import BadDocument
from schema.metrics import Direction
from schema.spelling import did_you_mean

REQUIRED = ("series", "time", "value", "direction")
OPTIONAL = ("metric", "cell", "engine", "build", "environment", "trial")
FAILED = ("", "nan", "none", "null", "na", "n/a")
"""What a trial without a value is written as."""
BEYOND = "fields beyond the header"


def read_series_file(path: Path) -> pd.DataFrame:
    """One row a trial, in the order of the file.

    Columns: those of REQUIRED and OPTIONAL as text ("" where the file has none), `value` as a
    number (NaN for a failed trial), `order` (a number that rises with time) and `line`.
    Raises BadDocument with every mistake as `file:line: column: what`.
    """
    text = _text(path)
    header = _header(path, text)
    rows = _rows(path, text, header)
    mistakes = [*_long_rows(rows), *_bad_rows(rows)]
    if mistakes:
        raise BadDocument([f"{path}:{line}: {what}" for line, what in sorted(mistakes)])
    for name in OPTIONAL:
        if name not in rows:
            rows[name] = ""
    return rows.drop(columns=[BEYOND])


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError) as error:
        raise BadDocument([f"{path}:1: cannot be read: {error}"]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadDocument([f"{path}:{line}: is not UTF-8 text; save it as UTF-8"]) from error


def _header(path: Path, text: str) -> list[str]:
    names = [name.strip() for name in next(csv.reader(StringIO(text)), [])]
    known = [*REQUIRED, *OPTIONAL]
    mistakes = [f"{name}: is missing" for name in REQUIRED if name not in names]
    mistakes += [f"{name}: is there twice" for name in known if names.count(name) > 1]
    for name in names:
        meant = did_you_mean(name, known, likeness=0.8)
        if name not in known and meant:
            mistakes.append(f"{name}: is not a column here{meant}")
    if mistakes:
        raise BadDocument([f"{path}:1: {what}; columns: {', '.join(known)}" for what in mistakes])
    return names


def _rows(path: Path, text: str, header: list[str]) -> pd.DataFrame:
    """Fields as text; one field too many is kept to be told, blank lines are left out."""
    names = [*(name or f"column {at}" for at, name in enumerate(header, 1)), BEYOND]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            rows = pd.read_csv(
                StringIO(text),
                header=None,
                names=names,
                skiprows=1,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise BadDocument(_uneven(path, text, len(header))) from error
    except pd.errors.EmptyDataError as error:
        raise BadDocument([f"{path}:1: has a header and no rows"]) from error
    rows = rows.fillna("").assign(line=np.arange(2, len(rows) + 2))
    rows = rows[(rows[names] != "").any(axis=1)].copy()
    if rows.empty:
        raise BadDocument([f"{path}:1: has a header and no rows"])
    return rows[[*dict.fromkeys([*REQUIRED, *(n for n in OPTIONAL if n in names)]), BEYOND, "line"]]


def _uneven(path: Path, text: str, width: int) -> list[str]:
    lines = csv.reader(StringIO(text))
    return [
        f"{path}:{lines.line_num}: {len(row)} fields, the header has {width}"
        for row in lines
        if len(row) > width
    ]


def _long_rows(rows: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Takes blanks away on the way."""
    for name in (*REQUIRED, *OPTIONAL):
        if name in rows:
            rows[name] = rows[name].str.strip()
    for line in rows.loc[rows[BEYOND] != "", "line"]:
        yield int(line), "has more fields than the header"


def _bad_rows(rows: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Fills in `value` and `order` on the way."""
    for line in rows.loc[rows["series"] == "", "line"]:
        yield int(line), "series: is empty"
    yield from _bad_directions(rows)
    rows["order"], bad_times = _orders(rows["time"])
    for line, time in rows.loc[bad_times, ["line", "time"]].itertuples(index=False):
        yield int(line), f"time: {time!r} is neither an ISO 8601 time nor a number"
    texts = rows["value"]
    failed = texts.str.lower().isin(FAILED)
    rows["value"] = pd.to_numeric(texts.mask(failed), errors="coerce").astype(np.float64)
    wrong = ~failed & ~np.isfinite(rows["value"])
    for line, value in zip(rows.loc[wrong, "line"], texts[wrong], strict=True):
        yield int(line), f"value: {value!r} is not a finite number; leave it empty if it failed"


def _bad_directions(rows: pd.DataFrame) -> Iterator[tuple[int, str]]:
    known = [str(direction) for direction in Direction]
    wrong = ~rows["direction"].isin(known)
    for line, given in rows.loc[wrong, ["line", "direction"]].itertuples(index=False):
        yield int(line), f"direction: {given!r} is neither lower nor higher"
    first = rows.groupby("series", sort=False)["direction"].transform("first")
    changed = ~wrong & (rows["direction"] != first) & first.isin(known)
    for line, name in rows.loc[changed, ["line", "series"]].itertuples(index=False):
        yield int(line), f"direction: differs from the first row of series {name!r}"


def _orders(times: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """A number a time, and which are no times; numbers if all are, else ISO 8601."""
    codes, unique = pd.factorize(times)
    numbers = pd.to_numeric(pd.Series(unique), errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        stamps = pd.to_datetime(pd.Series(unique), format="ISO8601", errors="coerce", utc=True)
        numbers = stamps.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(np.float64)
        numbers[stamps.isna()] = np.nan
    order = numbers[codes]
    return order, ~np.isfinite(order)
