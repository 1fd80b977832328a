"""Models over more cards: what another split gains."""

from collections.abc import Iterator

from dashboard.levels import LEAST_TESTED, Level, Ratio, load_words
from dashboard.parallel import COMPARED, Contrast, contrasts
from dashboard.units import NONE, probability
from schema.metrics import METRICS
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import counted_launches, figure, folded, table
from tailwatch.measurements.memory import name
from tailwatch.measurements.placement import shared_cards
from tailwatch.measurements.sparse import both_launches, with_spread

EXPLAINED = f"""\
By how much the other split multiplies each median over launches, with the spread that both sides
give it together. *p* is that of the exact Mann-Whitney test, told from {LEAST_TESTED} launches of
each side on and not corrected for the number of rows. No verdict is made of it: splits are cells of
their own. Throughput is of the engine, not of a card; energy and memory of both cards are counted
in [their metrics](metrics.md#where-each-comes-from). *Cards busy* is the part of the window in
which a card ran a kernel: where batches gain nothing and it falls, the cards wait for the engine's
own processes. The two sides may have run on different hosts
of one kind: the nights of each are named under [its loads](#loads)."""


def over_more_cards(found: Found) -> Iterator[str]:
    """A table for each split of a model that was measured beside another."""
    made = contrasts(found.levels)
    if not made:
        yield "No model was measured over different numbers of cards yet."
        yield ""
    else:
        yield EXPLAINED
        yield ""
    for own in made:
        under, over = own.words
        yield f"### {name(own.over)}: {over} against {under}"
        yield ""
        yield from table(("load", "launches", *COMPARED.values()), _at_a_glance(own))
        titles = ("load", "metric", "launches", under, "launches", over, "ratio", "p")
        medians = table(titles, [_row(one) for one in own.ratios], text=2)
        yield from folded("The medians, with their spread", medians)
    yield from shared_cards(found, made)


def _at_a_glance(found: Contrast) -> Iterator[tuple[str, ...]]:
    """A row a load, a ratio a metric."""
    loads: dict[str, dict[str, Ratio]] = {}
    for own in found.ratios:
        loads.setdefault(load_words(own.over.cell.workload), {})[own.metric] = own
    for load, told in loads.items():
        first = next(iter(told.values()))
        yield (
            load,
            both_launches(first.under, first.over),
            *(with_spread(told[metric]) if metric in told else NONE for metric in COMPARED),
        )


def _row(own: Ratio) -> tuple[str, ...]:
    return (
        load_words(own.over.cell.workload),
        COMPARED[own.metric],
        *_side(own.under, own.metric),
        *_side(own.over, own.metric),
        with_spread(own),
        probability(own.p),
    )


def _side(own: Level, metric: str) -> tuple[str, str]:
    unit = METRICS[metric].unit
    return counted_launches(own.launches), figure(own.of(metric), unit, own.launches)
