"""Engines that are on this host already, each named by the build that it is."""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from runners import cards, host
from runners.builds.environment import InstalledEngine
from runners.builds.provided import Provided
from runners.errors import BuildUnavailable
from runners.home import REPOSITORY
from schema.cells import Gpu
from schema.nights import PlannedLaunch
from schema.trials import BuildSpec

NAMED = re.compile(r"([^=]+==[^=]+)(?:=(.+))?")


class ProvidedEngines:
    """A provisioner of what `--engine` names; it installs nothing."""

    def __init__(self, named: Iterable[str], python: str = sys.executable) -> None:
        """`BUILD`, `BUILD=FOLDER` (of packages) or `BUILD=INTERPRETER`; raises ValueError."""
        self._engines = dict(_engine(text, python) for text in named)

    def has(self, spec: BuildSpec) -> bool:
        """Whether the release is here; its variants are then too."""
        return _release(spec) in self._engines

    def provision(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        if not self.has(spec):
            raise BuildUnavailable(f"{spec} is not on this host: --engine {spec}=FOLDER names it")
        return self._engines[_release(spec)].provision(spec, gpu)

    find = provision


def devices_here() -> dict[Gpu, int]:
    """How many devices of each kind a launch of this host may have: its CPU, and its cards."""
    names = [card.name for card in cards.describe()[0]]
    return {Gpu.CPU: 1, **{gpu: _count(kind, names) for gpu, kind in host.KINDS.items()}}


def _count(kind: str, names: Iterable[str]) -> int:
    return sum(kind in name for name in names)


def obstacle(
    one: PlannedLaunch, engines: ProvidedEngines, present: Mapping[Gpu, int]
) -> str | None:
    """Why the launch cannot be made on this host; None when it can."""
    family = one.cells[0].family
    gpu, seen = family.gpu, present[family.gpu]
    if not seen:
        blind = "" if cards.CAN_SEE else ", or it cannot be seen: nvidia-ml-py is not installed"
        return f"there is no {gpu} on this host{blind}"
    if seen < family.devices:
        asked = f"{family.devices} x {gpu}"
        return f"it needs {asked}, and this host has {seen} (CUDA_VISIBLE_DEVICES counts)"
    if not engines.has(one.build):
        return f"{one.build} is not provided: name it with --engine {one.build}=FOLDER"
    return None


def _engine(text: str, python: str) -> tuple[str, InstalledEngine]:
    found = NAMED.fullmatch(text)
    if found is None:
        raise ValueError(f"--engine {text}: write BUILD=PLACE, such as vllm==0.25.1=/tmp/engine")
    spec, place = BuildSpec.parse(found[1]), found[2]
    if place is None:
        return _release(spec), InstalledEngine(python, _beside_ours())
    if not Path(place).exists():
        raise ValueError(f"--engine {text}: there is no {place}")
    folder = Path(place).is_dir()
    return _release(spec), InstalledEngine(python, place) if folder else InstalledEngine(place)


def _beside_ours() -> str:
    """PYTHONPATH without the runner's own folder."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(part for part in path if part and Path(part) != REPOSITORY)


def _release(spec: BuildSpec) -> str:
    return f"{spec.engine}=={spec.release}"
