"""Cells: everything that must be equal for two values to be comparable."""

from enum import StrEnum

from pydantic import Field, model_validator

from schema.models import Model
from schema.words import Word, digest


class Engine(StrEnum):
    """The serving software."""

    VLLM = "vllm"
    SGLANG = "sglang"


class Gpu(StrEnum):
    """The kind of device a cell runs on. A CPU host counts as one device of kind `cpu`."""

    CPU = "cpu"
    H100 = "h100"
    H200 = "h200"


class Precision(StrEnum):
    """How weights are stored."""

    BF16 = "bf16"
    FP8 = "fp8"
    AWQ_INT4 = "awq-int4"
    GPTQ_INT4 = "gptq-int4"


class KvCacheDtype(StrEnum):
    """How the KV cache is stored."""

    BF16 = "bf16"
    FP8 = "fp8"


class Arrival(StrEnum):
    """When requests are sent."""

    OPEN_LOOP = "open-loop"  # Poisson at a rate, whatever the engine does
    CLOSED_LOOP = "closed-loop"  # a fixed number in flight
    OFFLINE = "offline"  # all at once


class Lengths(Word):
    """How long prompts or answers are, in tokens."""

    mean: float = Field(gt=0)
    """Mean of the distribution, tokens."""
    sigma: float = Field(default=0.0, ge=0)
    """Spread of the logarithm (log-normal); 0 makes every length equal to the mean."""
    longest: int = Field(gt=0)
    """Lengths are clipped to 1..longest, tokens."""

    @model_validator(mode="after")
    def _mean_is_reachable(self) -> "Lengths":
        if self.mean > self.longest:
            raise ValueError(f"mean {self.mean} exceeds longest {self.longest}")
        return self


class Limits(Word):
    """What a good request must keep, for goodput. Seconds."""

    ttft_s: float | None = Field(default=None, gt=0)
    itl_s: float | None = Field(default=None, gt=0)
    e2e_s: float | None = Field(default=None, gt=0)


class Workload(Word):
    """What is asked of the engine."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    arrival: Arrival
    rate: float | None = Field(default=None, gt=0)
    """Requests per second, open loop only."""
    concurrency: int | None = Field(default=None, gt=0)
    """Requests in flight, closed loop only."""
    requests: int = Field(gt=0)
    input_tokens: Lengths
    output_tokens: Lengths
    limits: Limits = Limits()
    seed: int = 0
    """Prompts, lengths and arrivals of replicate r are drawn from seed + r."""

    @model_validator(mode="after")
    def _arrival_has_its_parameter(self) -> "Workload":
        if (self.rate is not None) != (self.arrival is Arrival.OPEN_LOOP):
            raise ValueError("rate belongs to open-loop arrivals, and only to them")
        if (self.concurrency is not None) != (self.arrival is Arrival.CLOSED_LOOP):
            raise ValueError("concurrency belongs to closed-loop arrivals, and only to them")
        return self

    @property
    def in_flight(self) -> int:
        """Most requests that this workload may have in flight at once."""
        return self.concurrency or self.requests


class Family(Word):
    """A cell without its workload: what one engine launch serves."""

    engine: Engine
    model: Model
    precision: Precision
    kv_cache_dtype: KvCacheDtype = KvCacheDtype.BF16
    gpu: Gpu
    tensor_parallel: int = Field(default=1, gt=0)
    expert_parallel: int = Field(default=1, gt=0)
    max_model_len: int = Field(gt=0)
    """Longest prompt plus answer the engine accepts, tokens."""
    kv_cache_bytes: int | None = Field(default=None, gt=0)
    """Pinned KV capacity per device; None lets the engine take what is left."""
    settings: tuple[tuple[str, str | None], ...] = ()
    """Further engine flags without dashes, sorted: (("enforce-eager", None), ...)."""

    @property
    def slug(self) -> str:
        """vllm/Mixtral-8x7B-Instruct-v0.1/fp8/h100/tp1, with settings when there are any."""
        parts = [self.engine, self.model.short_name, self.precision, self.gpu]
        parts.append(f"tp{self.tensor_parallel}")
        if self.expert_parallel > 1:
            parts.append(f"ep{self.expert_parallel}")
        if self.kv_cache_dtype is not KvCacheDtype.BF16:
            parts.append(f"kv-{self.kv_cache_dtype}")
        parts += [flag if value is None else f"{flag}-{value}" for flag, value in self.settings]
        return "/".join(parts)

    @property
    def key(self) -> str:
        return digest(self.model_dump(mode="json"))


class Cell(Word):
    """One point of the matrix. The build under test is deliberately not part of it."""

    family: Family
    workload: Workload

    @property
    def slug(self) -> str:
        return f"{self.family.slug}/{self.workload.name}"

    @property
    def key(self) -> str:
        return digest(self.model_dump(mode="json"))
