"""One record, read key by key: what is wrong is told with line and key, never guessed."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from formats.content import Record
from formats.errors import Unreadable
from formats.storable import storable

_INFINITE = {"inf", "+inf", "-inf", "infinity", "-infinity", "nan"}
_UNTOLD = {"", "none", "null", "n/a", "-"}
LARGEST_COUNT = 2**53
Row = dict[str, Any]


class Fields:
    """An object of a file. Absent, null, empty, NaN and infinite all read as None."""

    def __init__(self, values: Any, record: Record, path: str = "") -> None:
        if not isinstance(values, dict):
            what = f"`{path}` should be" if path else "should be"
            raise Unreadable(f"{what} an object, not {_kind(values)}", record.line)
        self.values: Row = {key: value for key, value in values.items() if isinstance(key, str)}
        self.record = record
        self.path = path

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def number(self, key: str) -> float | None:
        """A finite number, negative ones included."""
        value = self.values.get(key)
        try:
            return finite(value)
        except ValueError:
            raise self.wrong(key, f"should be a number, not {_kind(value)}") from None

    def count(self, key: str) -> int | None:
        """A whole number of at least 0."""
        value = self.number(key)
        if value is None:
            return None
        if value < 0 or value != int(value) or value > LARGEST_COUNT:
            raise self.wrong(key, f"should be a whole number of at least 0, not {value:g}")
        return int(value)

    def text(self, key: str) -> str | None:
        """Words; numbers and truth values as they are written."""
        value = self.values.get(key)
        if isinstance(value, dict | list):
            raise self.wrong(key, f"should be text, not {_kind(value)}")
        if isinstance(value, int) and abs(value) > LARGEST_COUNT:
            raise self.wrong(key, "is too large a number")
        return None if value is None else storable(str(value)) or None

    def text_in_full(self, key: str) -> str:
        """A field of a table, however long; empty where it is absent."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def inner(self, key: str) -> "Fields":
        """An object within; an absent one is empty."""
        value = self.values.get(key)
        return Fields({} if value is None else value, self.record, self._path(key))

    def items(self, key: str) -> Iterator["Fields"]:
        """The objects of a list; an absent one is empty."""
        for at, value in enumerate(self.list(key)):
            yield Fields(value, self.record, f"{self._path(key)}[{at}]")

    def list(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, f"should be a list, not {_kind(value)}")
        return value

    def moment(self, key: str) -> datetime | None:
        """ISO 8601, vLLM's 20261122-040235, or seconds since 1970; without a zone it is UTC."""
        value = self.values.get(key)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, datetime):
                return _zoned(value)
            if isinstance(value, int | float):
                return datetime.fromtimestamp(value, UTC)
            if re.fullmatch(r"\d{8}-\d{6}", value):
                return datetime.strptime(value, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
            return _zoned(datetime.fromisoformat(value))
        except (ValueError, OverflowError, OSError, TypeError):
            raise self.wrong(key, f"is no time: {storable(str(value))[:40]}") from None

    def wrong(self, key: str, what: str) -> Unreadable:
        """The mistake, with the line of the key where it can be found."""
        start = self.record.text.find(f'"{key}"')
        start = self.record.text.find(f"{key}:") if start < 0 else start
        below = self.record.text.count("\n", 0, start) if start > 0 else 0
        return Unreadable(f"`{storable(self._path(key))}` {what}", self.record.line + below)

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def finite(value: Any) -> float | None:
    """A number or a text that is one; None where it is untold, infinite or NaN; else ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)  # noqa: TRY004 (a mistake of the file, not of the code)
    if isinstance(value, str):
        if value.strip().lower() in _INFINITE | _UNTOLD:
            return None
        if "_" in value:  # Python reads 1_000 as a number, nobody else does
            raise ValueError(value)
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _zoned(moment: datetime) -> datetime:
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return known.astimezone(UTC)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "a number")
