"""Sparse models beside dense ones."""

from collections.abc import Iterator

from dashboard.levels import LEAST_LAUNCHES, Level, Ratio, load_words
from dashboard.moe import Pair, batch_curve, bend_words, experts_words, pairs
from dashboard.units import plus_minus, times
from schema.metrics import METRICS
from stats.batch_curve import bend, steps
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import figure, table

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
        both_launches(sparse, dense),
        *(_ratio(sparse, dense, name) for name in ("output_throughput", "itl_p50", "ttft_p50")),
        *(_middle(own, "tail_ratio_itl") for own in both),
        *(_middle(own, "throughput_per_gpu_gb") for own in both),
        experts_words(sparse),
    )


def both_launches(first: Level, second: Level) -> str:
    """`5 and 5`, or `1 and 5: no spread`."""
    few = min(first.launches, second.launches) < LEAST_LAUNCHES
    return f"{first.launches} and {second.launches}{': no spread' if few else ''}"


def _ratio(over: Level, under: Level, metric: str) -> str:
    return with_spread(Ratio(metric=metric, over=over, under=under))


def with_spread(own: Ratio) -> str:
    """Behind the ratio the spread that both sides give it together."""
    return times(own.value) + ("" if own.cv is None else f" {plus_minus(own.cv)}")


def _middle(own: Level, metric: str) -> str:
    return figure(own.of(metric), METRICS[metric].unit, own.launches)


def _bends(pair: Pair) -> Iterator[str]:
    """What each doubling of the batch gains, and where that is least."""
    for side, found in (("sparse", pair.sparse), ("dense", pair.dense)):
        curve = batch_curve(found)
        gains = [f"{times(step.gain)} from {step.low} to {step.high}" for step in steps(curve)]
        told = ", ".join(gains) or "what fewer than two batches do not tell"
        yield f"- {side}: a doubling of the batch gains {told}. Bend: {bend_words(bend(curve))}."
    yield ""
