"""The tables of the page MoE. Pure: words in, HTML out."""

from collections.abc import Iterable, Mapping, Sequence

from dashboard import moe
from dashboard.levels import LEAST_TESTED, Level, Ratio, load_words, model_words, spread
from dashboard.markup import Column, Field, address, table
from dashboard.parallel import COMPARED, Contrast
from dashboard.units import NONE, number, plus_minus, probability, quantity, times
from schema.metrics import METRICS

_LOADS = (
    Column(title="Load", hint="Requests in flight, or requests a second"),
    Column(title="Throughput", figures=True, hint="Medians over launches: sparse, dense below"),
    Column(title="Sparse / dense", figures=True),
    Column(title="Median ITL", figures=True, hint="Medians over launches: sparse, dense below"),
    Column(title="Sparse / dense", figures=True),
    Column(title="ITL P99 / P50", figures=True, hint="Sparse, dense below"),
    Column(title="Per GPU memory", figures=True, hint="Throughput per GB of all cards' peaks"),
    Column(title="Experts read", figures=True, hint="Expected of a layer, were they chosen evenly"),
    Column(title="Launches", figures=True, hint="Sparse, dense"),
)


def loads(pair: moe.Pair) -> str:
    """A row a load that both models served; figures lead to their series."""
    return table(_LOADS, [_load(*one) for one in pair.loads], name="sparse beside dense")


def _load(sparse: Level, dense: Level) -> Sequence[Field]:
    return (
        Field(text=load_words(sparse.cell.workload)),
        _both(sparse, dense, "output_throughput"),
        _times(sparse, dense, "output_throughput"),
        _both(sparse, dense, "itl_p50"),
        _times(sparse, dense, "itl_p50"),
        _both(sparse, dense, "tail_ratio_itl"),
        _both(sparse, dense, "throughput_per_gpu_gb"),
        Field(text=moe.experts_words(sparse)),
        Field(text=f"{sparse.launches}, {dense.launches}"),
    )


def _both(sparse: Level, dense: Level, metric: str) -> Field:
    unit = METRICS[metric].unit
    return Field(
        text=quantity(sparse.middle(metric), unit),
        below=quantity(dense.middle(metric), unit),
        link=address("series", cell=sparse.cell.key, metric=metric),
    )


def _times(sparse: Level, dense: Level, metric: str) -> Field:
    return Field(text=times(moe.ratio(sparse, dense, metric)))


def memory(found: Iterable[Sequence[Level]]) -> str:
    """A row a family: its memory taken apart, and what that is for each parameter it uses."""
    columns = (
        Column(title="Model"),
        Column(title="Weights", figures=True),
        Column(title="Per active parameter", figures=True, hint="Weights over what a token uses"),
        Column(title="KV cache", figures=True),
        Column(title="Graphs", figures=True),
        Column(title="Peak", figures=True, hint="The highest of its loads"),
    )
    return table(columns, [_memory(own) for own in found], name="memory")


def _memory(found: Sequence[Level]) -> Sequence[Field]:
    sizes = moe.memory(found)
    each = moe.bytes_per_active_parameter(found)
    return (
        Field(text=model_words(found[0].cell), below=found[0].build),
        _size(sizes, "weight_memory"),
        Field(text=NONE if each is None else f"{number(each)} B"),
        Field(
            text=quantity(sizes.get("kv_cache_memory"), "B"),
            below=quantity(sizes.get("kv_cache_capacity"), "tok"),
        ),
        _size(sizes, "graph_memory"),
        _size(sizes, "gpu_memory_peak"),
    )


def _size(sizes: Mapping[str, float], metric: str) -> Field:
    return Field(text=quantity(sizes.get(metric), METRICS[metric].unit))


def contrast(own: Contrast) -> str:
    """A row a load and metric under both splits; figures lead to their series."""
    under, over = own.words
    columns = (
        Column(title="Load"),
        Column(title="Metric"),
        Column(title=under, figures=True, hint="Median and scatter over launches"),
        Column(title=over, figures=True, hint="Median and scatter over launches"),
        Column(title=f"{over} / {under}", figures=True, hint="With the scatter of both sides"),
        Column(title="p", figures=True, hint=f"Mann-Whitney, from {LEAST_TESTED} launches a side"),
        Column(title="Launches", figures=True, hint=f"{under}, {over}"),
    )
    rows = [_contrasted(one) for one in own.ratios]
    return table(columns, rows, name="over more cards")


def _contrasted(own: Ratio) -> Sequence[Field]:
    return (
        Field(text=load_words(own.over.cell.workload)),
        Field(text=COMPARED[own.metric]),
        _level(own.under, own.metric),
        _level(own.over, own.metric),
        Field(text=times(own.value), below="" if own.cv is None else plus_minus(own.cv)),
        Field(text=probability(own.p)),
        Field(text=f"{own.under.launches}, {own.over.launches}"),
    )


def _level(own: Level, metric: str) -> Field:
    seen = spread(own.of(metric))
    return Field(
        text=quantity(own.middle(metric), METRICS[metric].unit),
        below="" if seen is None else plus_minus(seen.cv),
        link=address("series", cell=own.cell.key, metric=metric),
    )
