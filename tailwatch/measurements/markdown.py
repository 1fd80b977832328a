"""Tables in Markdown, and figures with their spread. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from dashboard.units import NONE, percent, quantity
from stats.samples import median
from stats.spread import Variation, variation

LEAST_LAUNCHES = 3
"""That a spread is told of."""
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, text: int = 1) -> Iterator[str]:
    """The first `text` columns are text, the others figures; an empty line ends it."""
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * text}{'---:|' * (len(titles) - text)}"
    for row in rows:
        yield f"| {' | '.join(map(_field, row))} |"
    yield ""


def _field(text: str) -> str:
    """On one line, and without ending its column."""
    return " ".join(text.split()).replace("|", "\\|")


def spread(values: Sequence[float]) -> Variation | None:
    """How launches scatter; None of fewer than LEAST_LAUNCHES."""
    return variation([values]) if len(values) >= LEAST_LAUNCHES else None


def figure(values: Sequence[float], unit: str, launches: int) -> str:
    """Median over launches with their coefficient of variation: `4.862 ms ±0.39 %`.

    `(1)` follows where only one of several launches has the value.
    """
    if not values:
        return NONE
    text = quantity(median(values), unit)
    seen = spread(values)
    if seen is not None:
        text += f" {PLUS_MINUS}{share(seen.cv)}"
    return text if len(values) == launches else f"{text} ({len(values)})"


def share(part: float) -> str:
    """`0.0039` -> `0.39 %`."""
    return percent(part).removeprefix("+")


def counted_launches(launches: int) -> str:
    """`5`, or `2: no spread`."""
    return str(launches) if launches >= LEAST_LAUNCHES else f"{launches}: no spread"
