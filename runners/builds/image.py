"""Builds as official container images. The engine runs inside, everything else is the same."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from runners.builds.provided import Provided, variant_of
from runners.engines.adapter import Start
from runners.errors import BuildUnavailable
from schema.cells import Engine, Gpu
from schema.trials import Artefact, Build, BuildSpec

IMAGES = {
    Engine.VLLM: "docker.io/vllm/vllm-openai:v{version}",
    Engine.SGLANG: "docker.io/lmsysorg/sglang:v{version}",
}
"""Official images, tagged by release. A tag can move: the build keeps the digest."""


@dataclass(frozen=True, kw_only=True)
class ProvidedImage(Provided):
    """An image that is on this host."""

    reference: str
    """repository@sha256:..., so that a moved tag cannot change what runs."""

    def wrap(
        self, command: list[str], environment: Mapping[str, str], start: Start
    ) -> tuple[list[str], list[str]]:
        """`docker run` in the foreground, and the removal that also works after a SIGKILL."""
        command = [*self.variant.prefix, *command]
        run = ["docker", "run", "--rm", "--init", "--name", start.served_name]
        run += ["--network", "host", "--ipc", "host", "--entrypoint", command[0]]
        if start.family.gpu is not Gpu.CPU:
            run += ["--gpus", f'"device={",".join(start.cards)}"']
        run += ["--volume", f"{start.model}:{start.model}:ro"]
        run += ["--volume", f"{start.caches}:{start.caches}"]
        for name, value in sorted(environment.items()):
            if name != "CUDA_VISIBLE_DEVICES":  # a container numbers the cards that it has anew
                run += ["--env", f"{name}={value}"]
        return [*run, self.reference, *command[1:]], ["docker", "rm", "--force", start.served_name]


class ImageProvisioner:
    """Pulls the official image of a release."""

    def provision(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        _docker("pull", "--quiet", tag(spec))
        return self.find(spec, gpu)

    def find(self, spec: BuildSpec, gpu: Gpu) -> Provided:
        del gpu
        inspected = json.loads(_docker("image", "inspect", tag(spec)))[0]
        labels = (inspected.get("Config") or {}).get("Labels") or {}
        if not inspected.get("RepoDigests"):
            raise BuildUnavailable(
                f"{tag(spec)} was built here and has no digest; remove it and pull the official one"
            )
        return provided_image(spec, inspected["RepoDigests"][0], labels)


def tag(spec: BuildSpec) -> str:
    """The official image of a release."""
    return IMAGES[spec.engine].format(version=spec.release)


def provided_image(spec: BuildSpec, reference: str, labels: Mapping[str, str]) -> ProvidedImage:
    """The build that an inspected image is."""
    variant = variant_of(spec)
    if variant.modules is not None:
        raise BuildUnavailable(f"{spec}: +{spec.variant} needs an environment, not an image")
    build = Build(
        engine=spec.engine,
        version=spec.version,
        artefact=Artefact.IMAGE,
        digest=reference.partition("@")[2],
        source_commit=labels.get("org.opencontainers.image.revision"),
    )
    return ProvidedImage(
        build=build,
        python="python3",
        variant=variant,
        environment=variant.environment,
        reference=reference,
    )


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildUnavailable(
            "docker is not installed; install it, or let builds be environments"
        ) from None
    if done.returncode:
        raise BuildUnavailable(f"docker {' '.join(arguments)} said: {done.stderr.strip()[-500:]}")
    return done.stdout
