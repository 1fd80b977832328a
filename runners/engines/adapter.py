"""What a runner needs to know of an engine. One small protocol, one module per engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runners.prometheus import Samples
from schema.cells import Engine, Family


@dataclass(frozen=True, kw_only=True)
class Start:
    """Everything that decides one engine's command line and environment."""

    family: Family
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
class Counters:
    """The engine's own account since it started. None where an engine has no such counter."""

    cached_tokens: float | None
    """Prompt tokens served from the prefix cache."""
    preemptions: float | None
    output_tokens: float | None
    ttft_sum_s: float | None
    ttft_count: float | None
    itl_sum_s: float | None
    itl_count: float | None


class Adapter(Protocol):
    """One engine, pure: the runner does all input and output."""

    engine: Engine
    health_paths: tuple[str, ...]
    """Tried in order until one exists: older versions of an engine lack the cheap one."""
    info_path: str
    """Where the running engine tells its effective settings as JSON."""

    def command(self, start: Start) -> list[str]:
        """The command line; raises UnsupportedCell when the engine cannot serve the family."""
        ...

    def environment(self, start: Start) -> dict[str, str]:
        """Variables the engine needs beyond those of the host."""
        ...

    def counters(self, samples: Samples) -> Counters:
        """Read from the Prometheus page."""
        ...

    def memory(self, log: str, samples: Samples) -> dict[str, float]:
        """weight_memory, graph_memory [B] and kv_cache_capacity [tok]; absent when not said."""
        ...

    def effective(self, info: Mapping[str, object]) -> dict[str, str]:
        """The settings that matter for a comparison, from what `info_path` answered."""
        ...
