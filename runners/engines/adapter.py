"""What a runner needs to know of an engine. One small protocol, one module per engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runners.engines.counters import Counters
from runners.engines.experts import Experts
from runners.prometheus import Samples
from schema.cells import Engine, Family, Gpu

PROBE_PROMPT = (11, 12, 13)
"""Token ids of the request that asks whether an engine generates."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Everything that decides one engine's command line and environment."""

    family: Family
    version: str
    """Release of the engine: flags were renamed."""
    python: str
    """Interpreter of the environment that holds the engine."""
    model: Path
    """Folder with config.json (and the checkpoint, when the weights are real)."""
    served_name: str
    """A name nobody else uses: a server that lists it is the one that was started."""
    port: int
    caches: Path
    """Where compilation caches of this build live."""
    cards: tuple[str, ...] = ()
    """UUIDs of the cards it may use; none on a CPU host."""
    compute_cores: tuple[int, ...] = ()
    """Cores for the compute threads of a CPU engine; the client keeps off them."""
    flags: tuple[str, ...] = ()
    """What the build's variant adds to the command line."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a ready engine says of itself."""

    version: str
    gpu: Gpu
    log: str
    """From its start until now."""
    samples: Samples
    """Its Prometheus page."""
    info: Mapping[str, object]
    """What `info_path` answered; empty where its version has no such page."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An engine's memory taken apart. A value is in exactly one of `known` and `untold`."""

    known: Mapping[str, float]
    """weight_memory, kv_cache_memory, graph_memory [B a device] and kv_cache_capacity [tok]."""
    untold: Mapping[str, str]
    """Those that are missing of EXPECTED, each with what was looked for."""
    profile: Mapping[str, float]
    """What the engine's own profiling found [B], by `field@wording`: the words changed their
    meaning between versions, so that values of two wordings are no series."""


CACHE = ("kv_cache_memory", "kv_cache_capacity")
EXPECTED: Mapping[Gpu, tuple[str, ...]] = {
    Gpu.CPU: CACHE,  # no version says what weights take there, and there are no graphs
    Gpu.H100: ("weight_memory", *CACHE, "graph_memory"),
    Gpu.H200: ("weight_memory", *CACHE, "graph_memory"),
}
"""What an engine should tell of its memory on each kind of device."""


class Adapter(Protocol):
    """One engine, pure: the runner does all input and output."""

    engine: Engine
    health_paths: tuple[str, ...]
    """Tried in order until one exists: older versions of an engine lack the cheap one."""
    info_path: str
    """Where the running engine tells its effective settings as JSON."""
    asks_experts: Mapping[str, object]
    """What a request says so that an engine with --enable-return-routed-experts returns them."""

    def command(self, start: Start) -> list[str]:
        """The command line; raises UnsupportedCell when the engine cannot serve the family."""
        ...

    def environment(self, start: Start) -> dict[str, str]:
        """Variables the engine needs beyond those of the host."""
        ...

    def counters(self, samples: Samples) -> Counters:
        """Read from the Prometheus page."""
        ...

    def memory(self, told: Told) -> Memory:
        """Its memory taken apart, as this version tells it."""
        ...

    def experts(self, answer: Mapping[str, object]) -> Experts:
        """Those that came with an answer; raises BadExperts."""
        ...

    def effective(self, info: Mapping[str, object]) -> dict[str, str]:
        """The settings that matter for a comparison, from what `info_path` answered."""
        ...
