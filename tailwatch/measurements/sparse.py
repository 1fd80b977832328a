"""Sparse models beside dense ones, and models over more cards."""

from collections.abc import Iterator

from dashboard.levels import Level, load_words
from dashboard.moe import Pair, batch_curve, bend_words, experts_words, pairs, ratio
from dashboard.parallel import beside, split_words, splits
from dashboard.units import times
from schema.metrics import METRICS
from stats.batch_curve import bend, steps
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import (
    LEAST_LAUNCHES,
    PLUS_MINUS,
    counted_launches,
    figure,
    share,
    spread,
    table,
)
from tailwatch.measurements.memory import name

LOADS = (
    *("load", "launches", "throughput ratio", "ITL P50 ratio", "TTFT P50 ratio"),
    *(
        "tail, sparse",
        "tail, dense",
        "per GPU memory, sparse",
        "per GPU memory, dense",
        "experts read",
    ),
)


def sparse_beside_dense(found: Found) -> Iterator[str]:
    """A table for each pair, then where its curves bend."""
    made = pairs(found.levels)
    if not made:
        yield "No sparse model was measured beside a dense one."
        yield ""
    for pair in made:
        yield f"### {pair.name}"
        yield ""
        yield from table(LOADS, [_load(*one) for one in pair.loads])
        yield from _bends(pair)


def _load(sparse: Level, dense: Level) -> tuple[str, ...]:
    both = (sparse, dense)
    return (
        load_words(sparse.cell.workload),
        _launches(sparse, dense),
        *(_ratio(sparse, dense, name) for name in ("output_throughput", "itl_p50", "ttft_p50")),
        *(_middle(own, "tail_ratio_itl") for own in both),
        *(_middle(own, "throughput_per_gpu_gb") for own in both),
        experts_words(sparse),
    )


def _launches(sparse: Level, dense: Level) -> str:
    few = min(sparse.launches, dense.launches) < LEAST_LAUNCHES
    return f"{sparse.launches} and {dense.launches}{': no spread' if few else ''}"


def _ratio(over: Level, under: Level, metric: str) -> str:
    """With the spread that both sides give it together."""
    seen = [spread(own.values.get(metric, ())) for own in (over, under)]
    told = [one.cv for one in seen if one is not None]
    sides = (
        "" if len(told) < len(seen) else f" {PLUS_MINUS}{share(sum(cv**2 for cv in told) ** 0.5)}"
    )
    return times(ratio(over, under, metric)) + sides


def _middle(own: Level, metric: str) -> str:
    return figure(own.values.get(metric, ()), METRICS[metric].unit, own.launches)


def _bends(pair: Pair) -> Iterator[str]:
    """What each doubling of the batch gains, and where that is least."""
    for side, found in (("sparse", pair.sparse), ("dense", pair.dense)):
        curve = batch_curve(found)
        gains = [f"{times(step.gain)} from {step.low} to {step.high}" for step in steps(curve)]
        told = ", ".join(gains) or "what fewer than two batches do not tell"
        yield f"- {side}: a doubling of the batch gains {told}. Bend: {bend_words(bend(curve))}."
    yield ""


def over_more_cards(found: Found) -> Iterator[str]:
    """A table for each model that one build served in several ways."""
    made = splits(found.levels)
    if not made:
        yield "No model was measured over different numbers of cards yet."
        yield ""
    for group in made:
        yield f"### {name(group[0])}, over more cards"
        yield ""
        titles = ("load", "split", "launches", "throughput", "against the first", "ITL P50")
        rows = [_split(own, row[0]) for row in beside(group) for own in row]
        yield from table((*titles, "against the first", "peak of a card"), rows)


def _split(own: Level, first: Level) -> tuple[str, ...]:
    return (
        load_words(own.cell.workload),
        split_words([own]),
        counted_launches(own.launches),
        _middle(own, "output_throughput"),
        _ratio(own, first, "output_throughput"),
        _middle(own, "itl_p50"),
        _ratio(own, first, "itl_p50"),
        _middle(own, "gpu_memory_peak"),
    )
