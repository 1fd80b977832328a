"""Imports: trials that other people's tools measured, each value under its tool's definition."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from schema.metrics import METRICS, Direction
from schema.trials import TrialState
from schema.words import Word, digest


class Tool(StrEnum):
    """Who measured. Two tools never share a definition."""

    VLLM = "vllm-bench-serve"
    VLLM_LATENCY = "vllm-bench-latency"
    SGLANG = "sglang-bench-serving"
    GUIDELLM = "guidellm"
    AIPERF = "aiperf"
    INFERENCEX = "inferencex"
    ACTION = "github-action-benchmark"
    ATOM = "atom-nightly"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a tool means by one of its names."""

    tool: Tool
    name: str
    """The tool's own name, statistic included: `p99_itl_ms`, `inter_token_latency_ms.mean`."""
    generation: str = ""
    """Which of several meanings of the name over time; empty where it has one."""
    words: str
    """What it measures."""
    unit: str
    """Base unit: s, tok/s, req/s, tok, 1, or the tool's own where it is none of ours."""
    direction: Direction | None = None
    """Which way is better; None where neither is, or the tool does not say."""
    metric: str | None = None
    """The metric of ours that is defined the same; None almost always."""

    def __post_init__(self) -> None:
        if self.metric is not None and METRICS[self.metric].unit != self.unit:
            raise ValueError(f"{self.name} is in {self.unit}, {self.metric} is not")

    @property
    def key(self) -> str:
        """Of what the values mean: a name with two meanings or units has two keys."""
        return digest([self.tool, self.name, self.generation, self.unit])


class Subject(Word):
    """What was measured, as far as the tool says: all that must be equal within a series.

    None: not told, or unlimited. The build and the time are not in it.
    """

    model: str | None = None
    engine: str | None = None
    gpu: str | None = None
    gpus: int | None = None
    precision: str | None = None
    tensor_parallel: int | None = None
    request_rate: float | None = None
    """Requests per second; None where all were sent at once."""
    concurrency: int | None = None
    requests: int | None = None
    input_tokens: float | None = None
    """As asked for; else the mean, to two significant digits."""
    output_tokens: float | None = None
    dataset: str | None = None
    further: tuple[tuple[str, str], ...] = ()
    """Whatever else the tool tells apart, by name."""

    def key(self, tool: Tool) -> str:
        return digest([tool, self.model_dump(mode="json", exclude_defaults=True)])


@dataclass(frozen=True, kw_only=True)
class ImportedRequest:
    """One call as its tool kept it; None where it did not. Seconds."""

    index: int
    error: str | None = None
    """Why it has no answer; cancelled ones too."""
    start_s: float | None = None
    """Since the earliest request of the trial."""
    ttft_s: float | None = None
    e2e_s: float | None = None
    gap_s: tuple[float, ...] = ()
    """Between successive events or tokens, as the tool counts them."""
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class ImportedTrial:
    """One execution that another tool measured."""

    tool: Tool
    generation: str
    """Of the file's schema."""
    tool_version: str | None = None
    subject: Subject
    build: str | None = None
    """Version or commit of the engine."""
    image: str | None = None
    measured_at: datetime | None = None
    """When it ran; where only that is told, when it was published."""
    committed_at: datetime | None = None
    """When the build's source was committed."""
    state: TrialState = TrialState.VALID
    reason: str | None = None
    values: dict[Definition, float] = field(default_factory=dict)
    """In base units: finite, never negative. Empty for a failed trial."""
    requests: tuple[ImportedRequest, ...] = ()
    line: int
    """Where it begins in its file, from 1."""
    content: str
    """Digest of what the file says about it, wherever it stands and whatever the file's name."""

    def __post_init__(self) -> None:
        wrong = [d.name for d, v in self.values.items() if not (math.isfinite(v) and v >= 0)]
        if wrong:
            raise ValueError(f"not a finite value of at least 0: {', '.join(wrong)}")
        if (self.state is TrialState.VALID) != (self.reason is None):
            raise ValueError("a trial that is not valid has a reason, a valid one has none")

    @property
    def key(self) -> str:
        return digest([self.tool, self.content])


@dataclass(frozen=True, kw_only=True)
class ImportedFile:
    """A file with all its trials."""

    name: str
    content: str
    """Digest of its bytes."""
    tool: Tool
    generation: str
    trials: tuple[ImportedTrial, ...]
