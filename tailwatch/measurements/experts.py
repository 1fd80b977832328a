"""Which experts were chosen, and which engines would not tell."""

from collections.abc import Iterator

from dashboard.experts import ABOUT, METRIC, Chosen, refused, sentence
from dashboard.units import number
from schema.metrics import METRICS
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import counted_launches, figure, table

TITLES = (
    *("measured", "launches", "balance", "least even layer", "its balance"),
    *("lowest share", "highest share", "requests", "routed tokens"),
)


def expert_balance(found: Found) -> Iterator[str]:
    """A row for each build and model, and each refusal; nothing where nobody was asked."""
    if found.chosen:
        yield ABOUT
        yield ""
        yield from table(TITLES, map(_row, found.chosen))
        yield from (f"- {own.name}: {sentence(own)}" for own in found.chosen)
        yield ""
    refusals = {
        (own.build_name, f"`{own.cell_slug}`", said): None
        for own in found.left_out
        if (said := refused(own.reason or "")) is not None
    }
    if refusals:
        yield "Refused, and a finding:"
        yield ""
        yield from table(("build", "cell", "what it was asked and what it said"), refusals, text=3)


def _row(own: Chosen) -> tuple[str, ...]:
    seen = own.selections
    return (
        own.name,
        counted_launches(len(own.balances)),
        figure(own.balances, METRICS[METRIC].unit, len(own.balances)),
        str(own.least_even),
        number(seen.balances[own.least_even]),
        *map(number, own.extremes),
        f"{seen.requests:,}",
        f"{seen.tokens:,}",
    )
