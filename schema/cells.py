"""Cells: everything that must be equal for two values to be comparable."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from schema.arrivals import Arrival, Pattern, Ramp
from schema.lengths import AnyLengths, Recorded
from schema.models import Model
from schema.request_files import Holds, RequestFile
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
    """Requests per second, open loop only: of a ramp the first one. Recorded times have none."""
    concurrency: int | None = Field(default=None, gt=0)
    """Requests in flight, closed loop only."""
    requests: int = Field(gt=0)
    input_tokens: AnyLengths
    output_tokens: AnyLengths
    limits: Limits = Limits()
    seed: int = 0
    """Prompts, lengths and arrivals of replicate r are drawn from seed + r."""
    pattern: Pattern = Pattern.POISSON
    burstiness: float | None = Field(default=None, gt=0)
    """Shape of gamma gaps, as in vLLM: 1 is Poisson, below 1 in bursts, above 1 calmer."""
    ramp: Ramp | None = None
    speed_up: float = Field(default=1.0, gt=0)
    """Recorded times are divided by it."""
    file: RequestFile | None = None
    """Where requests are taken from instead of being drawn."""

    @model_validator(mode="after")
    def _nothing_is_out_of_place(self) -> "Workload":
        wrong = [what for what, holds in CONDITIONS.items() if not holds(self)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that came later are left out while unset: no key of a stored cell changed."""
        written: dict[str, Any] = write(self)
        unset = [name for name in LATER if getattr(self, name) == LATER[name]]
        return {name: value for name, value in written.items() if name not in unset}

    @property
    def in_flight(self) -> int:
        """Most requests that this workload may have in flight at once."""
        return self.concurrency or self.requests

    @property
    def longest_total(self) -> int:
        """Longest prompt plus answer that may be asked, tokens."""
        both = self.input_tokens.longest + self.output_tokens.longest
        return min(both, self.file.longest_total or both) if self.file else both


CONDITIONS: dict[str, Callable[[Workload], bool]] = {
    "rate belongs to open-loop arrivals, and only to them": lambda one: (
        (one.rate is not None) == (one.arrival is Arrival.OPEN_LOOP)
        or one.pattern is Pattern.RECORDED
    ),
    "recorded times have a rate of their own; write speed_up": lambda one: (
        one.rate is None or one.pattern is not Pattern.RECORDED
    ),
    "concurrency belongs to closed-loop arrivals, and only to them": lambda one: (
        (one.concurrency is not None) == (one.arrival is Arrival.CLOSED_LOOP)
    ),
    "a pattern belongs to open-loop arrivals": lambda one: (
        one.pattern is Pattern.POISSON or one.arrival is Arrival.OPEN_LOOP
    ),
    "burstiness belongs to pattern gamma, and only to it": lambda one: (
        (one.burstiness is not None) == (one.pattern is Pattern.GAMMA)
    ),
    "ramp belongs to open-loop arrivals with a rate, and leads to another rate": lambda one: (
        one.ramp is None or one.rate not in (None, one.ramp.to)
    ),
    "speed_up belongs to pattern recorded": lambda one: (
        one.speed_up == 1 or one.pattern is Pattern.RECORDED
    ),
    "pattern recorded needs a file that has times": lambda one: (
        one.pattern is not Pattern.RECORDED
        or (one.file is not None and one.file.holds is Holds.LENGTHS)
    ),
    "with a file, input_tokens and output_tokens are {longest: ...}, and only then": lambda one: (
        all(
            isinstance(lengths, Recorded) == (one.file is not None)
            for lengths in (one.input_tokens, one.output_tokens)
        )
    ),
}
"""What holds for every workload, by what is said when it does not."""

LATER = {
    name: Workload.model_fields[name].default
    for name in ("pattern", "burstiness", "ramp", "speed_up", "file")
}
"""Fields of a workload that are younger than the first stored cells, with their defaults."""


RETURNS_EXPERTS = "enable-return-routed-experts"
"""The flag by which vLLM and SGLang alike return the experts of every token."""


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
    def devices(self) -> int:
        """Cards that a launch takes; a CPU host is one device, however many workers share it."""
        return 1 if self.gpu is Gpu.CPU else self.tensor_parallel

    @property
    def returns_experts(self) -> bool:
        """Whether its launches tell which experts were chosen, and time nothing."""
        return RETURNS_EXPERTS in dict(self.settings)

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


PLACES: Any = {"path": True, "tokenizer": {"path": True}}
"""What of a file is in no key."""


class Cell(Word):
    """One point of the matrix. The build under test is deliberately not part of it."""

    family: Family
    workload: Workload

    @property
    def slug(self) -> str:
        return f"{self.family.slug}/{self.workload.name}"

    @property
    def key(self) -> str:
        """A file counts by its content: wherever it lies, the cell is the same."""
        return digest(self.model_dump(mode="json", exclude={"workload": {"file": PLACES}}))
