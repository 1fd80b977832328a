"""Tables in Markdown, and figures with their spread. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from dashboard.levels import LEAST_LAUNCHES, spread
from dashboard.units import NONE, plus_minus, quantity
from stats.samples import median


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, text: int = 1) -> Iterator[str]:
    """The first `text` columns are text, the others figures; an empty line ends it."""
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * text}{'---:|' * (len(titles) - text)}"
    for row in rows:
        yield f"| {' | '.join(map(_field, row))} |"
    yield ""


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """What a reader opens with a click; nothing where there are no lines."""
    inside = list(lines)
    if inside:
        yield from ("<details>", f"<summary>{title}</summary>", "", *inside, "</details>", "")


def _field(text: str) -> str:
    """On one line, and without ending its column."""
    return " ".join(text.split()).replace("|", "\\|")


def figure(values: Sequence[float], unit: str, launches: int) -> str:
    """Median over launches with their coefficient of variation: `4.862 ms ±0.39 %`.

    `(1)` follows where only one of several launches has the value.
    """
    if not values:
        return NONE
    text = quantity(median(values), unit)
    seen = spread(values)
    if seen is not None:
        text += f" {plus_minus(seen.cv)}"
    return text if len(values) == launches else f"{text} ({len(values)})"


def counted_launches(launches: int) -> str:
    """`5`, or `2: no spread`."""
    return str(launches) if launches >= LEAST_LAUNCHES else f"{launches}: no spread"
