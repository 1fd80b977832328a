"""What a provisioner hands over, and the deliberate alterations of a build."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runners.engines.adapter import Start
from runners.errors import BuildUnavailable
from schema.cells import Engine, Gpu
from schema.trials import Build, BuildSpec


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An alteration named by a build's local label: `vllm==0.32.0+eager`."""

    why: str
    engine: Engine | None = None
    """The only one that it alters; None alters any. Another would run as released, under a name
    that says otherwise."""
    flags: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    modules: Path | None = None
    """Folder that the engine's Python searches first."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def simulates_routing(self) -> bool:
        """Whether experts are drawn by chance instead of being chosen by the model's routers."""
        return ROUTING in self.environment


ROUTING = "VLLM_MOE_ROUTING_SIMULATION_STRATEGY"
"""vLLM's variable: a strategy that draws experts afresh in every forward pass, in graphs too."""

VARIANTS: dict[str, Variant] = {
    "eager": Variant(
        why="no compilation, no CUDA graphs", engine=Engine.VLLM, flags=("--enforce-eager",)
    ),
    "busy": Variant(
        why="a thread keeps the interpreter half of the time",
        engine=Engine.VLLM,
        modules=Path(__file__).with_name("planted"),
    ),
    "onecore": Variant(why="all engine processes share one core", prefix=("taskset", "-c", "0")),
    "uniform": Variant(
        why="experts are drawn evenly instead of chosen; a draw of 0.25 and before may name one "
        "expert twice for a token",
        engine=Engine.VLLM,
        environment={ROUTING: "uniform_random"},
    ),
    "normal": Variant(
        why="experts are drawn unevenly instead of chosen, most from the middle; a draw may name "
        "one expert twice for a token",
        engine=Engine.VLLM,
        environment={ROUTING: "normal_routing"},
    ),
}
"""Planted slowdowns, which a detector must see, and simulated routing, which prices imbalance."""


@dataclass(frozen=True, kw_only=True)
class Provided:
    """A build ready to launch."""

    build: Build
    python: str
    """Interpreter, as seen where the engine runs."""
    variant: Variant = field(default_factory=lambda: Variant(why="as released"))
    environment: Mapping[str, str] = field(default_factory=dict)

    def wrap(
        self, command: list[str], environment: Mapping[str, str], start: Start
    ) -> tuple[list[str], list[str]]:
        """(command that runs the engine here, command to run after it ended)."""
        del environment, start  # an environment on this host needs neither
        return [*self.variant.prefix, *command], []


class Provisioner(Protocol):
    """Makes builds available on this host."""

    def provision(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        """Install what is missing; raises BuildUnavailable with the next step."""
        ...

    def find(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        """What is installed already; raises BuildUnavailable otherwise."""
        ...


def variant_of(spec: BuildSpec) -> Variant:
    """The alteration that the spec's local label names; raises BuildUnavailable if its engine has
    no such."""
    if spec.variant is None:
        return Variant(why="as released")
    if spec.variant not in VARIANTS:
        known = ", ".join(f"+{name} ({variant.why})" for name, variant in VARIANTS.items())
        raise BuildUnavailable(f"{spec}: unknown variant +{spec.variant}; known are {known}")
    variant = VARIANTS[spec.variant]
    if variant.engine not in (None, spec.engine):
        raise BuildUnavailable(
            f"{spec}: +{spec.variant} alters {variant.engine} only; name a build of that"
        )
    return variant


def folder_name(spec: BuildSpec, gpu: Gpu) -> str:
    """Variants share the environment of their release."""
    return f"{spec.engine}-{spec.release}-{'cpu' if gpu is Gpu.CPU else 'cuda'}"


def caches(home: Path, build: Build) -> Path:
    """Compilation caches belong to one build: a new build starts cold."""
    return home / "caches" / build.key
