"""Memory taken apart, and what it earns."""

from collections.abc import Iterator, Sequence

from dashboard.charts.machine import memory_parts
from dashboard.levels import Level, families, model_words
from dashboard.moe import bytes_per_active_parameter, memory
from dashboard.units import NONE, number, quantity
from schema.memory import CARD_BYTES
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import figure, table

TITLES = (
    *("GPU, model, build", "launches", "weights", "per active parameter"),
    *("KV cache", "KV tokens", "graphs", "everything else", "peak", "never used"),
)


def memory_table(found: Found) -> Iterator[str]:
    """A row a family and build, bytes of the fullest card."""
    yield from table(TITLES, [_row(own) for own in families(found.levels)])


def name(own: Sequence[Level]) -> str:
    """`h200: Mixtral-8x7B-Instruct-v0.1 fp8, dummy weights, vllm 0.25.1`."""
    return f"{own[0].cell.family.gpu}: {model_words(own[0].cell)}, {own[0].build}"


def parts(own: Sequence[Level]) -> dict[str, float]:
    """Bytes of the fullest card by what they are for."""
    return memory_parts(memory(own), CARD_BYTES.get(own[0].cell.family.gpu))


def _row(own: Sequence[Level]) -> tuple[str, ...]:
    apart, each = parts(own), bytes_per_active_parameter(own)
    fullest = max(own, key=lambda level: level.middle("gpu_memory_peak") or 0.0)
    return (
        name(own),
        str(fullest.launches),
        _figure(fullest, "weight_memory", "B"),
        NONE if each is None else f"{number(each)} B",
        _figure(fullest, "kv_cache_memory", "B"),
        _figure(fullest, "kv_cache_capacity", "tok"),
        _figure(fullest, "graph_memory", "B"),
        quantity(apart.get("everything else"), "B"),
        _figure(fullest, "gpu_memory_peak", "B"),
        quantity(apart.get("never used"), "B"),
    )


def _figure(level: Level, metric: str, unit: str) -> str:
    return figure(level.values.get(metric, ()), unit, level.launches)
