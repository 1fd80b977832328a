"""Figures that others published, and where. Pure.

All but the gain of FP8 are from two pages of one author, dated 12 April 2026, who measured vLLM on
hosts whose cards are joined by NVLink. What their words stand for follows from their own figures:

- *offline*: 150 requests (Llama) or 100 (Mixtral) at once, of 69 to 79 prompt and 127 to 128 answer
  tokens on average, 1.8 and 4.3 s in all (tokens a second over requests a second);
- *time a token*: the time of a whole batch over its 64 answer tokens, prefill included
  (0.589 s / 9.21 ms, 0.376 s / 5.87 ms);
- *TTFT*: 127 to 128 times the ITL beside it in all six rows that have both (1,033 and 8.12 ms,
  1,677 and 13.19 ms, 924 and 7.22 ms, 656 and 5.13 ms, ...), so the time of a whole request.
"""

from dataclasses import dataclass

from schema.cells import Gpu

_PAGES = "https://hungchun0201.github.io/agentic-ai-survey/ai-infra-basics/hands-on/"
SPLIT_PAGE, MIXTURE_PAGE = f"{_PAGES}week-13.html", f"{_PAGES}week-14.html"
FP8_PAGE = "https://docs.vllm.ai/en/stable/features/quantization/fp8/"

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


@dataclass(frozen=True, kw_only=True)
class QuotedGain:
    """What a second card gave a model: TP 2 over TP 1."""

    words: str
    value: str
    near: Quoted
    """The load and metric of ours that stand beside it."""


def _offline(model: str, value: float) -> Quoted:
    return Quoted(what="throughput offline", model=model, metric="output_throughput", value=value)


def _per_token(model: str, batch: int, value_ms: float, gpu: Gpu = Gpu.H200) -> Quoted:
    return Quoted(
        what=f"time a token at batch {batch}", model=model, metric="tpot_p50",
        value=value_ms / 1e3, gpu=gpu, batch=batch,
    )  # fmt: skip


def _at_rate(metric: str, what: str, rate: float, value_ms: float, model: str = MIXTRAL) -> Quoted:
    return Quoted(
        what=f"median {what} at {rate:g} req/s", model=model, metric=metric,
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
    _at_rate("e2e_p50", "TTFT, as the time of a request,", 1, 1033.0),
    _at_rate("e2e_p50", "TTFT, as the time of a request,", 4, 1677.0),
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
"""At most, bf16 over fp8; vLLM's documentation tells it of throughput."""
GAINS = (
    QuotedGain(
        words=f"bf16, {LLAMA}, TP 2 over TP 1: throughput offline, on H200 and H100",
        value="0.997 and 1.002",
        near=_OFFLINE[1],
    ),
    QuotedGain(
        words=f"bf16, {LLAMA}, TP 2 over TP 1: median ITL served, on H100",
        value="0.71",
        near=_at_rate("itl_p50", "ITL", 4, 5.13, LLAMA),
    ),
)
