"""How tools name their values: a quantity, and which statistic over requests of it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from formats.storable import storable
from schema.imports import Definition, Tool
from schema.metrics import METRICS, Direction

STATISTIC = r"(?P<statistic>mean|median|std|p\d{1,2}(?:\.\d+)?)"
_WORDS = {
    "mean": "mean of",
    "avg": "mean of",
    "median": "median of",
    "std": "standard deviation of",
    "std_dev": "standard deviation of",
    "min": "least of",
    "max": "largest of",
    "value": "",
}
_OURS = {"median": "p50", "p50": "p50", "p90": "p90", "p99": "p99"}
SPREADS = {"std", "std_dev", "min"}
"""Statistics that may be 0 although something was measured."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a tool measures of each request, or of the whole trial."""

    words: str
    unit: str = "s"
    factor: float = 1e-3
    """Base units in one of the tool's."""
    direction: Direction | None = Direction.LOWER
    generation: str = ""
    metric: str | None = None
    """Our metric where it is defined the same, without its percentile."""
    zero: bool = False
    """Whether 0 can be measured; else it says that nothing was."""


def rate(words: str, unit: str = "tok/s", metric: str | None = None) -> Quantity:
    """A throughput of the whole trial."""
    return Quantity(words=words, unit=unit, factor=1, direction=Direction.HIGHER, metric=metric)


def definition(tool: Tool, name: str, quantity: Quantity, statistic: str = "value") -> Definition:
    """The definition of one statistic; `name` is the tool's own."""
    ours = quantity.metric
    if ours is not None and statistic != "value":
        ours = f"{ours}_{_OURS.get(statistic, '')}"
    return Definition(
        tool=tool,
        name=storable(name),
        generation=quantity.generation,
        words=storable(f"{_statistic_words(statistic)} {quantity.words}".strip()),
        unit=storable(quantity.unit),
        direction=None if statistic in SPREADS - {"min"} else quantity.direction,
        metric=ours if ours in METRICS else None,
    )


def may_be_zero(quantity: Quantity, statistic: str = "value") -> bool:
    return quantity.zero or statistic in SPREADS


def statistics(
    keys: Iterable[str], quantities: Mapping[str, Quantity], suffix: str = ""
) -> Iterator[tuple[str, str, Quantity]]:
    """Those of the keys that are `{statistic}_{quantity}{suffix}`: key, statistic, quantity."""
    pattern = re.compile(rf"{STATISTIC}_(?P<quantity>.+){re.escape(suffix)}")
    for key in keys:
        found = pattern.fullmatch(key)
        if found and found["quantity"] in quantities:
            yield key, found["statistic"], quantities[found["quantity"]]


def _statistic_words(statistic: str) -> str:
    if statistic in _WORDS:
        return _WORDS[statistic]
    number = statistic.removeprefix("p")
    ending = "" if "." in number else _ordinal(int(number))
    return f"{number}{ending} percentile of"


def _ordinal(number: int) -> str:
    if number % 100 in {11, 12, 13}:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
