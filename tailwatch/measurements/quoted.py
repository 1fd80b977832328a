"""Figures that others published, as they were quoted when this project was asked for."""

from dataclasses import dataclass

from schema.cells import Gpu

MIXTRAL, LLAMA = "Mixtral-8x7B", "Llama-3.1-8B"


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """One figure in its base unit, of bf16 weights over two cards, and the load it belongs to."""

    what: str
    model: str
    """Part of the name of a model."""
    metric: str
    value: float
    gpu: Gpu = Gpu.H200
    batch: int | None = None
    """Requests in flight."""
    rate: float | None = None
    """Requests a second. With neither, all requests at once."""

    @property
    def words(self) -> str:
        return f"2 x {self.gpu.upper()}, TP 2, bf16, {self.model}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class QuotedRatio:
    """How far apart two of them are."""

    value: float
    over: Quoted
    under: Quoted

    @property
    def words(self) -> str:
        return f"{self.over.words}, over {self.under.model}"


def _offline(model: str, value: float) -> Quoted:
    return Quoted(what="throughput offline", model=model, metric="output_throughput", value=value)


def _per_token(model: str, batch: int, value_ms: float, gpu: Gpu = Gpu.H200) -> Quoted:
    return Quoted(
        what=f"time a token at batch {batch}", model=model, metric="tpot_p50",
        value=value_ms / 1e3, gpu=gpu, batch=batch,
    )  # fmt: skip


def _at_rate(metric: str, what: str, rate: float, value_ms: float) -> Quoted:
    return Quoted(
        what=f"median {what} at {rate:g} req/s", model=MIXTRAL, metric=metric,
        value=value_ms / 1e3, rate=rate,
    )  # fmt: skip


_OFFLINE = _offline(MIXTRAL, 3000.0), _offline(LLAMA, 10755.0)
_ALONE = _per_token(MIXTRAL, 1, 9.21), _per_token(LLAMA, 1, 5.87)

FIGURES = (
    *_OFFLINE,
    *_ALONE,
    _per_token(LLAMA, 8, 6.29),
    _per_token(LLAMA, 32, 7.27),
    _at_rate("ttft_p50", "TTFT", 1, 1033.0),
    _at_rate("ttft_p50", "TTFT", 4, 1677.0),
    _at_rate("itl_p50", "ITL", 1, 8.12),
    _at_rate("itl_p50", "ITL", 4, 13.19),
    _per_token(LLAMA, 1, 7.01, Gpu.H100),
    _per_token(LLAMA, 8, 7.47, Gpu.H100),
    _per_token(LLAMA, 32, 8.49, Gpu.H100),
)
RATIOS = (
    QuotedRatio(value=3.6, over=_OFFLINE[1], under=_OFFLINE[0]),
    QuotedRatio(value=1.57, over=_ALONE[0], under=_ALONE[1]),
)
FP8_GAIN = 1.6
"""Up to: median ITL in bf16 over that in fp8."""
TP_GAIN = 0.997, 1.002
"""From, to: TP 2 over TP 1 of Llama-3.1-8B on H200; of which figure was not said."""
