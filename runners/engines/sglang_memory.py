"""What SGLang says of its memory: gauges, else /server_info, else its log.

Read in the sources of 0.5.11, 0.5.14, 0.5.17 and 0.5.23 and in logs of 0.5.17. Where it prints
"GB" it means GiB.
"""

import re
from collections.abc import Mapping, Sequence

from runners.engines.adapter import EXPECTED, Memory, Told
from runners.prometheus import Samples, each

GIB = 2**30
OTHER_RANK = re.compile(r"^\[[^\]]* TP[1-9]\d*[^\]]*\].*$", re.MULTILINE)
"""Lines of all tensor-parallel ranks but the first: every rank captures its own graphs."""
LOADED = r"Load weight end\. elapsed=.*?mem usage=([\d.]+) GB"
POOL = r"KV Cache is allocated\..*?#tokens: \d+, (?:K size: ([\d.]+) GB, V|KV) size: ([\d.]+) GB"
CAPTURED = r"Capture .*?graph end\..*?mem usage=([\d.]+) GB"
CAPACITY = r"max_total_num_tokens=(\d+),"
LOOKED_FOR = {
    "weight_memory": "weight_memory_usage_gb, memory_usage.weight or 'Load weight end.'",
    "kv_cache_memory": "kv_cache_memory_usage_gb, memory_usage.kvcache or 'KV Cache is allocated.'",
    "kv_cache_capacity": "max_total_num_tokens",
    "graph_memory": "graph_memory_usage_gb, memory_usage.graph or 'Capture ... graph end.'",
}


def memory(told: Told) -> Memory:
    """Of one device. The log has two decimals of a GiB, the pages have more."""
    known = _from_log(told.log) | _from_info(told.info) | _from_gauges(told.samples)
    untold = {
        name: f"sglang {told.version} said nothing of {LOOKED_FOR[name]}"
        for name in EXPECTED[told.gpu]
        if name not in known
    }
    return Memory(known=known, untold=untold, profile={})


def _from_gauges(samples: Samples) -> dict[str, float]:
    """From 0.5.17 on, a label set a rank that tells metrics; graphs have one a phase besides."""
    weights = each(samples, "sglang:weight_memory_usage_gb")
    if not weights:
        return {}
    graphs = each(samples, "sglang:graph_memory_usage_gb")
    found = {
        "weight_memory": max(weights) * GIB,
        "kv_cache_memory": max(each(samples, "sglang:kv_cache_memory_usage_gb"), default=0) * GIB,
        "kv_cache_capacity": max(each(samples, "sglang:max_total_num_tokens"), default=0),
        "graph_memory": sum(graphs) / len(weights) * GIB,
    }
    return {name: value for name, value in found.items() if value > 0}


def _from_info(info: Mapping[str, object]) -> dict[str, float]:
    """Of the first data-parallel rank. A graph memory that is one number (before the phases were
    told apart) lacks the prefill's graphs, which the log has."""
    states = info.get("internal_states")
    state = states[0] if isinstance(states, Sequence) and states else None
    usage = state.get("memory_usage") if isinstance(state, Mapping) else None
    if not isinstance(usage, Mapping):
        return {}
    graphs = usage.get("graph")
    told = {
        "weight_memory": (usage.get("weight"), GIB),
        "kv_cache_memory": (usage.get("kvcache"), GIB),
        "kv_cache_capacity": (usage.get("token_capacity"), 1),
        "graph_memory": (sum(graphs.values()) if isinstance(graphs, Mapping) else None, GIB),
    }
    return {
        name: float(value) * factor
        for name, (value, factor) in told.items()
        if isinstance(value, int | float) and value > 0
    }


def _from_log(log: str) -> dict[str, float]:
    mine = OTHER_RANK.sub("", log)
    found: dict[str, float] = {}
    if weights := re.search(LOADED, mine):
        found["weight_memory"] = float(weights[1]) * GIB
    if pool := re.search(POOL, mine):
        found["kv_cache_memory"] = sum(float(part) for part in pool.groups() if part) * GIB
    if graphs := re.findall(CAPTURED, mine, re.IGNORECASE):
        found["graph_memory"] = sum(float(size) for size in graphs) * GIB
    if tokens := re.search(CAPACITY, mine):
        found["kv_cache_capacity"] = float(tokens[1])
    return found
