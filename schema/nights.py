"""Nights: passes over a matrix, and what each of them planned to launch."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from schema.cells import Cell
from schema.trials import Arm, BuildSpec
from schema.words import Word, digest


class NightKind(StrEnum):
    """What a pass is for."""

    NIGHTLY = "nightly"  # tonight's builds against the nights before
    RELEASE = "release"  # a contender against a baseline, interleaved


class Night(Word):
    """One pass over the matrix, keyed by its name, which begins with its date."""

    name: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}(-[a-z0-9.+-]+)?$")
    kind: NightKind
    matrix: str
    """Name of the matrix file without its ending."""
    matrix_digest: str
    contenders: tuple[str, ...]
    """Builds under test, `vllm==0.32.0`, at most one an engine."""
    baselines: tuple[str, ...] = ()
    """Builds they are set against, one an engine; none for a nightly: its past is its baseline."""
    cells: tuple[Cell, ...]
    """What it planned to measure: a cell without a trial is a finding."""
    launches: int = Field(ge=0)
    """Engine launches it planned."""

    @property
    def date(self) -> date:
        return date.fromisoformat(self.name[:10])


class PlannedLaunch(Word):
    """One engine launch to make: a family, the build, and the cells to measure on it."""

    night: str
    arm: Arm
    build: BuildSpec
    cells: tuple[Cell, ...] = Field(min_length=1)
    replicate: int = Field(ge=0)

    @property
    def key(self) -> str:
        return digest(self.model_dump(mode="json"))

    @property
    def label(self) -> str:
        """How Airflow and the logs name it."""
        return f"{self.cells[0].family.slug} {self.build} {self.arm} #{self.replicate}"


class Bundle(Word):
    """What a host without a network is given beside the runner: a night's plan and its launches."""

    night: Night
    launches: tuple[PlannedLaunch, ...] = Field(min_length=1)
    """In the order in which they are to be made."""
