"""What vLLM says of its memory, wording by wording.

Wordings were read in the sources of 0.20, 0.24, 0.28 to 0.33 and in logs of 0.25.1 and 0.32.0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import Version

from runners.engines.adapter import EXPECTED, Memory, Told
from runners.prometheus import label

GIB = 2**30
OTHER_RANK = re.compile(r"^.*\(Worker_(?:\w+_)?TP[1-9]\d*\w* pid=.*$", re.MULTILINE)
"""Lines of all tensor-parallel workers but the first, whose order in a log is chance."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """One line of the log."""

    name: str
    versions: str
    """Whose line it is, for people."""
    pattern: str
    factor: int = GIB


WORDINGS = (
    Wording(
        name="weight_memory",
        versions="the V1 model runner of all, the V2 model runner from 0.28 on",
        pattern=r"Model loading took ([\d.]+) GiB memory and [\d.]+ sec",
    ),
    Wording(
        name="weight_memory",
        versions="the V2 model runner of 0.20 to 0.25",
        pattern=r"Model loading took ([\d.]+) GiB and [\d.]+ sec",
    ),
    Wording(
        name="kv_cache_memory",
        versions="all, where the engine takes what a card has left",
        pattern=r"Available KV cache memory: ([\d.]+) GiB",
    ),
    Wording(
        name="kv_cache_memory",
        versions="all, where it is pinned",
        pattern=r"reserved ([\d.]+) GiB memory for KV Cache as specified by kv_cache_memory_bytes",
    ),
    Wording(
        name="kv_cache_memory",
        versions="all, on a CPU",
        pattern=r"Explicitly set \(([\d.]+)/[\d.]+\) GiB for KV cache",
    ),
    Wording(
        name="kv_cache_capacity",
        versions="0.20 to 0.25 in a line of its own, 0.28 and 0.29 with the concurrency behind it",
        pattern=r"GPU KV cache size: ([\d,]+) tokens",
        factor=1,
    ),
    Wording(
        name="kv_cache_capacity",
        versions="0.30 on, with the kind of the device or the names of the pools before it",
        pattern=r"\S KV cache size: ([\d,]+) tokens, Maximum concurrency",
        factor=1,
    ),
    Wording(
        name="graph_memory",
        versions="all",
        pattern=r"Graph capturing finished in \d+ secs, took ([\d.]+) GiB",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What the profiling run found, with the names its numbers had at the time."""

    pattern: str
    since: str
    """First version in which the words mean this."""
    names: tuple[str, ...]


PROFILES = (
    Profile(
        pattern=r"Actual usage is ([\d.]+) GiB for weight, ([\d.]+) GiB for peak activation, "
        r"([\d.]+) GiB for non-torch memory, and ([\d.]+) GiB for CUDAGraph memory",
        since="0.20",
        names=("weights", "activation", "non_torch", "graphs"),
    ),
    Profile(
        pattern=r"Actual usage is ([\d.]+) GiB for consumed memory \(weights \+ non-torch\), "
        r"([\d.]+) GiB for peak activation, and ([\d.]+) GiB for CUDAGraph memory",
        since="0.28",
        names=("weights_and_non_torch", "activation", "graphs"),
    ),
    Profile(  # the same words; the activation now holds headroom and the estimate of the graphs
        pattern=r"Actual usage is ([\d.]+) GiB for consumed memory \(weights \+ non-torch\), "
        r"([\d.]+) GiB for peak activation, and ([\d.]+) GiB for CUDAGraph memory",
        since="0.33",
        names=("weights_and_non_torch", "activation_headroom_and_graph_estimate", "graphs"),
    ),
    Profile(
        pattern=r"CUDA graph pool memory: ([\d.]+) GiB \(actual\), ([\d.]+) GiB \(estimated\)",
        since="0.21",
        names=("graph_pool", "graph_pool_estimate"),
    ),
)


def memory(told: Told) -> Memory:
    """The engine's pages where they say it, else its log."""
    known = _from_log(told.log) | _from_pages(told)
    untold = {
        name: f"vllm {told.version} said nothing like: {_looked_for(name)}"
        for name in EXPECTED[told.gpu]
        if name not in known
    }
    return Memory(known=known, untold=untold, profile=_profile(told))


def _from_log(log: str) -> dict[str, float]:
    """Of the first worker, or of another where only that says it: each holds as much."""
    mine = OTHER_RANK.sub("", log)
    found: dict[str, float] = {}
    for wording in WORDINGS:
        line = re.search(wording.pattern, mine) or re.search(wording.pattern, log)
        if line and wording.name not in found:
            found[wording.name] = float(line[1].replace(",", "")) * wording.factor
    return found


def _from_pages(told: Told) -> dict[str, float]:
    """Capacity from /metrics (0.24 on), pinned bytes from /server_info."""
    found: dict[str, float] = {}
    tokens = label(told.samples, "vllm:cache_config_info", "kv_cache_size_tokens")
    if tokens and tokens.isdigit():
        found["kv_cache_capacity"] = float(tokens)
    config = told.info.get("vllm_config")
    cache = config.get("cache_config") if isinstance(config, Mapping) else None
    pinned = cache.get("kv_cache_memory_bytes") if isinstance(cache, Mapping) else None
    if isinstance(pinned, int) and pinned > 0:
        found["kv_cache_memory"] = float(pinned)
    return found


def _looked_for(name: str) -> str:
    patterns = (wording.pattern for wording in WORDINGS if wording.name == name)
    return " or ".join(re.sub(r"\(?\[.*?\]\+\)?|\\d\+", "N", one) for one in patterns)


def _profile(told: Told) -> dict[str, float]:
    """Each line read with the newest meaning that this version can have."""
    newest: dict[str, Profile] = {}
    for profile in sorted(PROFILES, key=lambda one: Version(one.since)):
        if Version(profile.since) <= Version(told.version):
            newest[profile.pattern] = profile
    found: dict[str, float] = {}
    for profile in newest.values():
        line = re.search(profile.pattern, told.log)
        numbers = line.groups() if line else ()
        for name, number in zip(profile.names, numbers, strict=False):
            found[f"{name}_bytes@{profile.since}"] = float(number) * GIB
    return found
