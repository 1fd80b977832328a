"""What a change is put down to, as far as a file of series tells. A table, read from the top."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Facts:
    """None where the file does not say."""

    new_build: bool | None
    """Whether a build runs since the change that did not run before it."""
    new_environment: bool | None
    other_engine: str | None
    """Another engine that moved the same way in the same environment and nights."""


@dataclass(frozen=True, kw_only=True)
class Attribution:
    to: str
    """build, host or unknown."""
    reason: str


def attributed(facts: Facts, builds: Sequence[str], environments: Sequence[str]) -> Attribution:
    """builds, environments: those that are new since the change, for the reason."""
    build = f"the build is new: {', '.join(builds)}"
    environment = f"the environment is new: {', '.join(environments)}"
    if facts.other_engine:
        reason = f"{facts.other_engine} moved the same way in the same nights"
        return Attribution(to="host", reason=reason)
    if facts.new_build and facts.new_environment:
        return Attribution(to="unknown", reason=f"{build}, and {environment}")
    if facts.new_environment:
        return Attribution(to="host", reason=f"{environment}, the build is not")
    if facts.new_build:
        return Attribution(to="build", reason=build)
    if facts.new_build is False:
        return Attribution(to="host", reason="the same build ran before the change and since")
    return Attribution(to="unknown", reason="the file does not name builds")
