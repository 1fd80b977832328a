"""Memory: whether a family fits its cards, with every addend. Only arithmetic, no measurement.

Bytes are those of one card. Weights and KV heads are split over tensor parallelism; expert
parallelism moves whole experts instead of slices of each, which is the same number of bytes.
"""

import math
from collections.abc import Iterable, Iterator

from pydantic import Field

from schema.arrivals import Arrival
from schema.cells import Family, Gpu, KvCacheDtype, Precision, Workload
from schema.words import Word

MIB = 2**20
GIB = 2**30

CARD_BYTES = {
    Gpu.H100: 81_559 * MIB,  # NVML total of an H100 80 GB
    Gpu.H200: 143_771 * MIB,  # NVML total of an H200 141 GB
}
"""Memory of one card. A CPU is not here: how much memory a host has is only known on the host."""

USABLE = 0.90
"""Part of a card that an engine is told to use (gpu_memory_utilization, mem_fraction)."""

RESERVE_BYTES = 3 * GIB
"""Activations, graphs, buffers: 1.1 to 2.7 GiB in logs of vLLM 0.25.1 (Llama-8B, Mixtral-8x7B)."""

WEIGHT_BYTES = {
    Precision.BF16: 2.0,
    Precision.FP8: 1.0,
    # 4 bits, and for each group of 128 weights a bf16 scale and a 4-bit zero point.
    Precision.AWQ_INT4: 0.5 + 2.5 / 128,
    Precision.GPTQ_INT4: 0.5 + 2.5 / 128,
}
"""Bytes of one weight in the layers; embeddings and the output head stay in bf16."""

KV_BYTES = {KvCacheDtype.BF16: 2, KvCacheDtype.FP8: 1}

PARALLEL = (2, 4, 8)
"""Tensor parallelism that is suggested when one card is too small."""


class Fit(Word):
    """The memory that a family needs on each of its cards, and what there is."""

    family: Family
    weights_bytes: int
    kv_tokens: int
    """Tokens the cache must hold at once: a longest request, or a whole closed loop."""
    kv_needed_bytes: int
    kv_bytes: int
    """The pinned cache, else `kv_needed_bytes`."""
    reserve_bytes: int
    available_bytes: int | None
    """None on a CPU, where only the pinned cache is checked."""
    remedies: tuple[str, ...] = Field(default=())
    """What would make it fit; empty when it does or when nothing known would."""

    @property
    def needed_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.reserve_bytes

    @property
    def fits(self) -> bool:
        cache_suffices = self.kv_bytes >= self.kv_needed_bytes
        enough = self.available_bytes is None or self.needed_bytes <= self.available_bytes
        return cache_suffices and enough

    @property
    def explanation(self) -> str:
        """One sentence with the arithmetic."""
        family = self.family
        place = f"{family.tensor_parallel} x {family.gpu}"
        cache = f"{_size(self.kv_bytes)} ({self.kv_tokens} tokens)"
        reserve = f" + reserve {_size(self.reserve_bytes)}" if self.reserve_bytes else ""
        addends = f"weights {_size(self.weights_bytes)} + KV {cache}{reserve}"
        addends += f" = {_size(self.needed_bytes)}"
        per_card = " a card" if family.tensor_parallel > 1 else ""
        name = f"{family.model.short_name} {family.precision} on {place}"
        return f"{name}: {addends}{per_card}, {self._against()}: {self._conclusion()}"

    def _against(self) -> str:
        if self.available_bytes is None:
            return "memory of the host is not known here"
        card = CARD_BYTES[self.family.gpu]
        return f"{_size(self.available_bytes)} available ({USABLE:.2f} of {_size(card)})"

    def _conclusion(self) -> str:
        if self.kv_bytes < self.kv_needed_bytes:
            needed = _size(self.kv_needed_bytes)
            return f"{self.kv_tokens} tokens need kv_cache_bytes of {needed} or more"
        if self.fits:
            return "fits"
        return f"needs {' or '.join(self.remedies)}" if self.remedies else "fits no card known here"


def fit(family: Family, workloads: Iterable[Workload] = ()) -> Fit:
    """What the family needs while it serves these workloads, and what helps if it is too much."""
    found = _fit(family, tuple(workloads))
    if found.fits or found.kv_bytes < found.kv_needed_bytes:
        return found
    remedies = [name for name, other in _others(family) if _fit(other, tuple(workloads)).fits]
    # The least tensor parallelism is enough to know; what comes after it is another way out.
    fewest = [name for name in remedies if name.startswith("tensor_parallel")][:1]
    rest = [name for name in remedies if not name.startswith("tensor_parallel")]
    return found.model_copy(update={"remedies": (*fewest, *rest)})


def weights_bytes(family: Family) -> int:
    """Weights on one card: parameters x bytes, embeddings and output head in bf16, over cards."""
    model = family.model
    embeddings = model.vocabulary * model.hidden * (1 if model.tied_embeddings else 2)
    layers = (model.parameters - embeddings) * WEIGHT_BYTES[family.precision]
    total = layers + embeddings * WEIGHT_BYTES[Precision.BF16]
    return math.ceil(total / family.tensor_parallel)


def kv_bytes(family: Family, tokens: int) -> int:
    """KV cache on one card: 2 * layers * kv_heads * head_dim * bytes * tokens / TP.

    A head is never cut: with more cards than heads each card holds one.
    """
    model = family.model
    heads = math.ceil(model.kv_heads / family.tensor_parallel)
    per_token = 2 * model.layers * heads * model.head_dim * KV_BYTES[family.kv_cache_dtype]
    return per_token * tokens


def _fit(family: Family, workloads: tuple[Workload, ...]) -> Fit:
    tokens = max(family.max_model_len, *map(_held_tokens, workloads), 0)
    needed = kv_bytes(family, tokens)
    card = CARD_BYTES.get(family.gpu)
    return Fit(
        family=family,
        weights_bytes=weights_bytes(family),
        kv_tokens=tokens,
        kv_needed_bytes=needed,
        kv_bytes=family.kv_cache_bytes or needed,
        reserve_bytes=RESERVE_BYTES if card else 0,
        available_bytes=math.floor(card * USABLE) if card else None,
    )


def _held_tokens(workload: Workload) -> int:
    """Tokens that a closed loop holds on average; other arrivals may wait for the cache.

    Of requests from a file only the longest that may be asked is known here.
    """
    if workload.arrival is not Arrival.CLOSED_LOOP:
        return 0
    mean = workload.input_tokens.mean + workload.output_tokens.mean
    return math.ceil(workload.in_flight * min(mean, workload.longest_total))


def _others(family: Family) -> Iterator[tuple[str, Family]]:
    """The same family with one thing changed, named by the change."""
    for cards in PARALLEL:
        if cards > family.tensor_parallel and family.model.heads % cards == 0:
            yield f"tensor_parallel {cards}", family.model_copy(update={"tensor_parallel": cards})
    if family.precision is Precision.BF16:
        yield "fp8", family.model_copy(update={"precision": Precision.FP8})
    if family.gpu is Gpu.H100:
        yield "h200", family.model_copy(update={"gpu": Gpu.H200})


def _size(count: int) -> str:
    if count and count < GIB / 10:
        return f"{count / MIB:.1f} MiB"
    return f"{count / GIB:.1f} GiB"
