"""The tables. Vocabulary and columns share their words; `docs/schema.md` draws them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from schema import episode_tables, imported_tables, kept_tables  # noqa: F401 (makes their tables known)
from schema.cells import Engine, Gpu, Precision
from schema.columns import Base, Big, Day, Json, Key, Recorded, finite, one_of
from schema.judgements import Verdict
from schema.nights import NightKind
from schema.trials import Arm, Artefact, TrialState

COUNTS = "replicate >= 0 AND attempt >= 1"
TABLES = Base.metadata  # filled by the classes below and by those of kept_tables


class HostRow(Base):
    """A machine in one state: a new driver makes a new row."""

    __tablename__ = "hosts"
    __table_args__ = (one_of("gpu", Gpu),)

    fingerprint: Mapped[Key]
    name: Mapped[str]
    gpu: Mapped[Gpu]
    cards: Mapped[list[Json]]
    driver: Mapped[str | None]
    cuda: Mapped[str | None]
    cpu: Mapped[str]
    cores: Mapped[int]
    memory_bytes: Mapped[Big]
    kernel: Mapped[str]
    python: Mapped[str]
    links: Mapped[list[Json]] = mapped_column(server_default="[]")
    nccl: Mapped[str | None]


class BuildRow(Base):
    """An engine artefact that ran."""

    __tablename__ = "builds"
    __table_args__ = (one_of("engine", Engine), one_of("artefact", Artefact))

    key: Mapped[Key]
    engine: Mapped[Engine]
    version: Mapped[str]
    artefact: Mapped[Artefact]
    digest: Mapped[str]
    source_commit: Mapped[str | None]
    packages: Mapped[list[str]] = mapped_column(server_default="{}")


class CellRow(Base):
    """A cell: the document, and the parts that people search for."""

    __tablename__ = "cells"
    __table_args__ = (one_of("engine", Engine), one_of("gpu", Gpu), one_of("precision", Precision))

    key: Mapped[Key]
    slug: Mapped[str] = mapped_column(index=True)
    family: Mapped[str] = mapped_column(index=True)
    family_slug: Mapped[str]
    engine: Mapped[Engine]
    model: Mapped[str]
    precision: Mapped[Precision]
    gpu: Mapped[Gpu]
    workload: Mapped[str]
    document: Mapped[Json]


class NightRow(Base):
    """A pass over the matrix, with its plan."""

    __tablename__ = "nights"
    __table_args__ = (one_of("kind", NightKind),)

    name: Mapped[Key]
    date: Mapped[Day]
    kind: Mapped[NightKind]
    matrix: Mapped[str]
    matrix_digest: Mapped[str]
    contenders: Mapped[list[str]]
    baselines: Mapped[list[str]]
    launches: Mapped[int]
    recorded_at: Mapped[Recorded]


class PlannedCellRow(Base):
    """A cell that a night planned to measure."""

    __tablename__ = "planned_cells"

    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), primary_key=True)
    cell: Mapped[str] = mapped_column(ForeignKey("cells.key"), primary_key=True, index=True)
    position: Mapped[int]


class LaunchRow(Base):
    """One engine start. Its row is there exactly when all of its trials are."""

    __tablename__ = "launches"
    __table_args__ = (one_of("arm", Arm), CheckConstraint(COUNTS, name="counts"))

    key: Mapped[Key]
    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), index=True)
    build: Mapped[str] = mapped_column(ForeignKey("builds.key"), index=True)
    host: Mapped[str] = mapped_column(ForeignKey("hosts.fingerprint"), index=True)
    arm: Mapped[Arm]
    replicate: Mapped[int]
    attempt: Mapped[int]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    startup_s: Mapped[float | None]
    caches_warm: Mapped[bool | None]
    command: Mapped[list[str]]
    environment: Mapped[Json]
    effective: Mapped[Json]
    overhead_s: Mapped[float | None]
    phases_s: Mapped[Json]
    log_tail: Mapped[str]
    recorded_at: Mapped[Recorded]


class TrialRow(Base):
    """One execution of a cell."""

    __tablename__ = "trials"
    __table_args__ = (one_of("state", TrialState),)

    key: Mapped[Key]
    launch: Mapped[str] = mapped_column(ForeignKey("launches.key"), index=True)
    cell: Mapped[str] = mapped_column(ForeignKey("cells.key"), index=True)
    state: Mapped[TrialState]
    reason: Mapped[str | None]
    seed: Mapped[Big]
    started_at: Mapped[datetime | None]
    duration_s: Mapped[float | None]
    checks: Mapped[list[Json]]
    server: Mapped[Json]
    not_estimable: Mapped[Json]


class MeasurementRow(Base):
    """One value in the metric's base unit."""

    __tablename__ = "measurements"
    __table_args__ = (finite("value"),)

    trial: Mapped[str] = mapped_column(ForeignKey("trials.key"), primary_key=True)
    metric: Mapped[Key]
    value: Mapped[float]


class ComparisonRow(Base):
    """Baseline against contender for one metric of one cell."""

    __tablename__ = "comparisons"
    __table_args__ = (CheckConstraint("num_nulls(interval_low, interval_high) <> 1", name="ends"),)

    key: Mapped[Key]
    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), index=True)
    cell: Mapped[str] = mapped_column(ForeignKey("cells.key"), index=True)
    metric: Mapped[str]
    baseline: Mapped[Json]
    contender: Mapped[Json]
    change: Mapped[float | None]
    interval_low: Mapped[float | None]
    interval_high: Mapped[float | None]
    confidence: Mapped[float]
    p: Mapped[float | None]
    least_p: Mapped[float | None]
    p_adjusted: Mapped[float | None]
    family_size: Mapped[int]
    warnings: Mapped[list[Json]]


class VerdictRow(Base):
    """What the policy draws from a comparison."""

    __tablename__ = "verdicts"
    __table_args__ = (one_of("verdict", Verdict),)

    comparison: Mapped[Key] = mapped_column(ForeignKey("comparisons.key", ondelete="CASCADE"))
    verdict: Mapped[Verdict]
    reason: Mapped[str]
    policy: Mapped[str]
    judged_at: Mapped[Recorded]


class SilentVerdictRow(Base):
    """A verdict that is told to nobody: of a policy in shadow, or of the control arm."""

    __tablename__ = "silent_verdicts"
    __table_args__ = (one_of("arm", Arm), one_of("verdict", Verdict))

    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), primary_key=True)
    policy: Mapped[Key]
    arm: Mapped[Arm] = mapped_column(primary_key=True)
    cell: Mapped[str] = mapped_column(ForeignKey("cells.key"), primary_key=True, index=True)
    metric: Mapped[Key]
    verdict: Mapped[Verdict]
    reason: Mapped[str]
    change: Mapped[float | None]
    p: Mapped[float | None]
    p_adjusted: Mapped[float | None]
    judged_at: Mapped[Recorded]


class AnnotationRow(Base):
    """What a person says about a night, or about one cell or metric of it."""

    __tablename__ = "annotations"

    key: Mapped[Key]
    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), index=True)
    cell: Mapped[str | None] = mapped_column(ForeignKey("cells.key"), index=True)
    metric: Mapped[str | None]
    author: Mapped[str]
    text: Mapped[str]
    created_at: Mapped[Recorded]


class DigestRow(Base):
    """The outbox: claimed before the post, so that no night is told twice."""

    __tablename__ = "digests"
    __table_args__ = (CheckConstraint("(posted_at IS NULL) = (ts IS NULL)", name="posted"),)

    night: Mapped[str] = mapped_column(ForeignKey("nights.name"), primary_key=True)
    channel: Mapped[Key]
    claimed_at: Mapped[Recorded]
    posted_at: Mapped[datetime | None]
    ts: Mapped[str | None]
