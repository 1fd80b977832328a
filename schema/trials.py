"""Trials: what ran where, what it measured, and whether that may be believed."""

from enum import StrEnum

from packaging.version import InvalidVersion, Version
from pydantic import AwareDatetime, Field, field_validator

from schema.cells import Cell, Engine
from schema.hosts import Host
from schema.metrics import METRICS
from schema.requests import NONE, PackedRequests
from schema.selections import Selections
from schema.words import Word, digest


class Arm(StrEnum):
    """Why a trial ran."""

    NIGHTLY = "nightly"
    CONTROL = "control"
    CONFIRM_BASELINE = "confirm-baseline"
    CONFIRM_CONTENDER = "confirm-contender"
    RELEASE_BASELINE = "release-baseline"
    RELEASE_CONTENDER = "release-contender"
    AD_HOC = "ad-hoc"


class TrialState(StrEnum):
    """Whether a trial's numbers may enter a sample."""

    VALID = "valid"
    INVALID = "invalid"  # it ended, but a check failed: the numbers are kept, never used
    FAILED = "failed"  # it did not end: there are no numbers


class BuildSpec(Word):
    """A build that was asked for: `vllm==0.32.0`, or a variant of it, `vllm==0.32.0+eager`."""

    engine: Engine
    version: str

    @field_validator("version")
    @classmethod
    def _version_is_pep440(cls, text: str) -> str:
        try:
            return str(Version(text))
        except InvalidVersion:
            raise ValueError(f"{text!r} is not a PEP 440 version such as 0.32.0") from None

    @classmethod
    def parse(cls, text: str) -> "BuildSpec":
        """`ENGINE==VERSION`; raises ValueError that says what is wrong."""
        engine, equals, version = text.partition("==")
        if not equals or engine not in list(Engine):
            known = " or ".join(Engine)
            raise ValueError(f"{text!r} is not ENGINE==VERSION with engine {known}")
        return cls(engine=Engine(engine), version=version)

    @property
    def release(self) -> str:
        """The version to install: without the variant."""
        return Version(self.version).public

    @property
    def variant(self) -> str | None:
        """The local label that names a deliberate alteration, such as `eager`."""
        return Version(self.version).local

    def __str__(self) -> str:
        return f"{self.engine}=={self.version}"


def variant_named(build: str) -> str:
    """The variant that the name of a build tells: `eager` of `vllm 0.32.0+eager`; empty for a build
    that ran as released."""
    return build.partition("+")[2]


class Artefact(StrEnum):
    """In what form a build was provided."""

    ENVIRONMENT = "environment"
    IMAGE = "image"


class Build(Word):
    """Exactly which engine artefact ran."""

    engine: Engine
    version: str
    artefact: Artefact
    digest: str
    """SHA-256 over the installed distributions (environment) or the image digest."""
    source_commit: str | None = None
    packages: tuple[str, ...] = ()
    """`name==version` of what the digest of an environment is made of, in order; empty for an
    image, and where an earlier runner did not tell them."""

    @property
    def key(self) -> str:
        return digest(self.model_dump(mode="json", exclude={"packages"}))

    @property
    def name(self) -> str:
        return f"{self.engine} {self.version}"

    @property
    def package_versions(self) -> dict[str, str]:
        """By the name of each package; empty where they are not told."""
        return dict(one.split("==", 1) for one in self.packages)


class Check(Word):
    """One condition a trial had to meet, with what was seen. A failed check makes it invalid."""

    name: str
    passed: bool
    observed: float | None = None
    limit: float | None = None
    unit: str = "1"
    note: str = ""


class Telemetry(Word):
    """One reading of the machine while the engine ran. None is `not available`, never 0."""

    at_s: float
    """Seconds since the launch."""
    device: str
    """`cpu`, or a card's UUID."""
    memory_bytes: int | None = None
    utilisation: float | None = None
    """0..1 of the device."""
    power_w: float | None = None
    energy_j: float | None = None
    sm_clock_hz: float | None = None
    temperature_c: float | None = None
    throttle_reasons: int | None = None
    """NVML's clock event reasons, bits."""
    memory_clock_hz: float | None = None
    ecc_corrected: int | None = None
    """Since the driver was loaded. This and what follows is read at the begin and the end only."""
    ecc_uncorrected: int | None = None
    remapped_rows: int | None = None
    """Rows of memory that the card has replaced by spare ones in its life."""


class Trial(Word):
    """One execution of a cell on a fresh engine launch: the unit of replication."""

    cell: Cell
    state: TrialState
    reason: str | None = None
    """Why it is invalid or failed."""
    seed: int
    started_at: AwareDatetime | None = None
    duration_s: float | None = Field(default=None, gt=0)
    measurements: dict[str, float] = {}
    not_estimable: dict[str, str] = {}
    """Metrics that this trial could not estimate, each with its reason."""
    checks: tuple[Check, ...] = ()
    requests: PackedRequests = NONE
    server: dict[str, float] = {}
    """The engine's own counters over the measured window, for cross-checks."""
    selections: Selections | None = None
    """Of a family that returns its experts, which is not timed."""

    @field_validator("measurements")
    @classmethod
    def _metrics_are_known(cls, values: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(values) - set(METRICS))
        if unknown:
            raise ValueError(f"unknown metrics: {', '.join(unknown)}")
        return values


class Launch(Word):
    """One engine launch and the trials it served: the document that a runner writes."""

    night: str
    arm: Arm
    replicate: int = Field(ge=0)
    """Which repetition of this arm on this night, from 0."""
    attempt: int = Field(ge=1)
    """1, or more when an earlier attempt failed."""
    build: Build
    host: Host
    started_at: AwareDatetime
    ended_at: AwareDatetime
    startup_s: float | None = None
    """Launch until one token was generated; None when it never was."""
    caches_warm: bool | None = None
    """Whether this build's compilation caches were there before."""
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    effective: dict[str, str] = {}
    """Settings read back from the running engine."""
    overhead_s: float | None = None
    """Wall time that was neither engine start nor load."""
    phases_s: dict[str, float] = {}
    """Wall time of each step of the protocol, s."""
    log_tail: str = ""
    telemetry: tuple[Telemetry, ...] = ()
    trials: tuple[Trial, ...]

    @property
    def key(self) -> str:
        """Natural key: recording the same launch twice changes nothing."""
        cells = sorted(trial.cell.key for trial in self.trials)
        spec = [self.build.engine, self.build.version]
        return digest([self.night, self.arm, self.replicate, self.attempt, spec, cells])

    def trial_key(self, trial: Trial) -> str:
        """Natural key of one of its trials."""
        return digest([self.key, trial.cell.key])

    @property
    def duration_s(self) -> float:
        return (self.ended_at - self.started_at).total_seconds()
