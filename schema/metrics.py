"""Metrics: named quantities that know their unit, direction, definition and estimability rule."""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"


TAIL_OBSERVATIONS = 10
"""A percentile is estimable when at least this many observations lie above it."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One quantity. Values are kept in the base unit and scaled only when shown."""

    name: str
    unit: str
    """s, tok/s, req/s, B, J/tok, tok or 1."""
    direction: Direction
    definition: str
    least_observations: int = 1
    """Observations (gaps or requests) below which the value is `not estimable`."""
    judged: bool = True
    """Whether a night's judgement tests it; the others are kept and shown."""


def _tail(percentile: int) -> int:
    return round(TAIL_OBSERVATIONS / (1 - percentile / 100))


def _latency(base: str, what: str) -> list[Metric]:
    return [
        Metric(
            name=f"{base}_p{percentile}",
            unit="s",
            direction=Direction.LOWER,
            definition=f"{percentile}th percentile of {what}",
            least_observations=1 if percentile == 50 else _tail(percentile),
        )
        for percentile in (50, 90, 99)
    ]


def _higher(name: str, unit: str, definition: str, *, judged: bool = True) -> Metric:
    return Metric(
        name=name, unit=unit, direction=Direction.HIGHER, definition=definition, judged=judged
    )


def _lower(name: str, unit: str, definition: str, *, judged: bool = True) -> Metric:
    return Metric(
        name=name, unit=unit, direction=Direction.LOWER, definition=definition, judged=judged
    )


_ALL = [
    _higher("output_throughput", "tok/s", "answer tokens per second of the measured window"),
    _higher(
        "steady_throughput",
        "tok/s",
        "answer tokens per second outside of stalls, where the load waits for the engine",
    ),
    _higher("total_throughput", "tok/s", "prompt and answer tokens per second", judged=False),
    _higher("request_throughput", "req/s", "finished requests per second", judged=False),
    _higher("goodput", "req/s", "requests per second that kept every limit of the workload"),
    _higher("goodput_share", "1", "part of all requests that kept every limit", judged=False),
    _lower(
        "stall_time",
        "s",
        "time in which somebody waited for a token and nobody got one for a second or more",
        judged=False,
    ),
    *_latency("ttft", "the time from sending a request to its first token"),
    *_latency("itl", "the gaps between successive tokens, pooled over all requests"),
    *_latency("tpot", "a request's mean time per token after the first"),
    *_latency("e2e", "the time from a request's scheduled moment to its last token"),
    Metric(
        name="tail_ratio_itl",
        unit="1",
        direction=Direction.LOWER,
        definition="itl_p99 / itl_p50: an MoE's tail moves without its median",
        least_observations=_tail(99),
    ),
    _lower("gpu_memory_peak", "B", "highest memory seen on the fullest card"),
    _lower("host_memory_peak", "B", "highest resident memory of the engine's processes"),
    _lower("weight_memory", "B", "memory of the weights on one device"),
    _higher("kv_cache_capacity", "tok", "tokens the KV cache holds"),
    _higher("kv_cache_memory", "B", "memory of the KV cache on one device", judged=False),
    _lower("graph_memory", "B", "memory of captured graphs on one device"),
    _higher("throughput_per_gpu_gb", "tok/s/GB", "output_throughput per GB of all cards' peaks"),
    _lower("energy_per_token", "J/tok", "energy of all cards per answer token"),
    _higher(
        "gpu_busy",
        "1",
        "part of the measured window in which a card ran a kernel, mean over the cards",
        judged=False,
    ),
    _lower("startup_s", "s", "launch until one token was generated", judged=False),
    _higher(
        "expert_balance",
        "1",
        "mean over layers of the mean over the largest number of selections of an expert",
        judged=False,
    ),
]

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by name, in the order in which people read them."""
_SPEED_UNITS = ("s", "tok/s", "req/s")


def is_speed(name: str) -> bool:
    """Whether it tells how fast requests are answered: not memory, energy or a ratio."""
    return name in METRICS and METRICS[name].unit in _SPEED_UNITS
