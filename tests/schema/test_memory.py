"""Does a family fit its cards? Checked against weights that engines have logged."""

from typing import Any

import pytest

from schema.arrivals import Arrival
from schema.cells import Engine, Family, Gpu, KvCacheDtype, Precision, Workload
from schema.lengths import Lengths
from schema.memory import GIB, fit, kv_bytes, weights_bytes
from schema.models import Model, Weights

MIXTRAL = Model(
    name="mistralai/Mixtral-8x7B-Instruct-v0.1",
    weights=Weights.REAL,
    layers=32,
    hidden=4096,
    intermediate=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=32000,
    experts=8,
    active_experts=2,
    max_position=32768,
)
LLAMA_8B = MIXTRAL.model_copy(
    update={
        "name": "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "vocabulary": 128256,
        "experts": 1,
        "active_experts": 1,
    }
)
LLAMA_70B = LLAMA_8B.model_copy(
    update={
        "name": "meta-llama/Llama-3.1-70B-Instruct",
        "layers": 80,
        "hidden": 8192,
        "intermediate": 28672,
        "heads": 64,
    }
)


def family(model: Model, precision: Precision, gpu: Gpu, **other: Any) -> Family:
    return Family(
        engine=Engine.VLLM,
        model=model,
        precision=precision,
        gpu=gpu,
        **{"max_model_len": 4096, **other},
    )


def closed_loop(concurrency: int) -> Workload:
    lengths = Lengths(mean=500, longest=1000)
    return Workload(
        name="closed",
        arrival=Arrival.CLOSED_LOOP,
        concurrency=concurrency,
        requests=100,
        input_tokens=lengths,
        output_tokens=lengths,
    )


def test_a_closed_loop_from_a_file_may_hold_nothing_but_its_longest_requests() -> None:
    file = {"path": "f", "sha256": "0" * 64, "longest_total": 900}
    longest = {"longest": 600}
    asked = closed_loop(8).model_dump() | {"input_tokens": longest, "output_tokens": longest}
    one = family(LLAMA_8B, Precision.BF16, Gpu.H100)
    at_most, with_a_limit = (
        fit(one, [Workload.model_validate(asked | {"file": file | {"longest_total": limit}})])
        for limit in (None, 900)
    )
    assert at_most.kv_tokens == 8 * 1200
    assert with_a_limit.kv_tokens == 8 * 900


@pytest.mark.parametrize(
    ("model", "precision", "logged_gib"),
    [
        # "Model loading took N GiB" of vLLM 0.25.1 on H100 and H200
        (LLAMA_8B, Precision.BF16, 15.0),
        (MIXTRAL, Precision.BF16, 87.0),
        (MIXTRAL, Precision.FP8, 43.78),
    ],
)
def test_weights_are_what_engines_logged(
    model: Model, precision: Precision, logged_gib: float
) -> None:
    computed = weights_bytes(family(model, precision, Gpu.H200)) / GIB
    assert computed == pytest.approx(logged_gib, abs=0.06)


def test_a_key_and_a_value_are_kept_for_every_token_layer_and_head() -> None:
    one = family(LLAMA_8B, Precision.BF16, Gpu.H100)
    assert kv_bytes(one, 1) == 2 * 32 * 8 * 128 * 2 == 131_072
    assert kv_bytes(one, 4096) == GIB // 2


def test_an_fp8_cache_is_half_as_large() -> None:
    bf16 = family(LLAMA_8B, Precision.BF16, Gpu.H100)
    fp8 = bf16.model_copy(update={"kv_cache_dtype": KvCacheDtype.FP8})
    assert kv_bytes(fp8, 1000) * 2 == kv_bytes(bf16, 1000)


def test_cards_share_weights_and_heads_but_never_cut_a_head() -> None:
    one = family(LLAMA_70B, Precision.BF16, Gpu.H100)
    two, sixteen = (one.model_copy(update={"tensor_parallel": cards}) for cards in (2, 16))
    assert weights_bytes(two) * 2 == pytest.approx(weights_bytes(one), abs=2)
    assert kv_bytes(two, 100) * 2 == kv_bytes(one, 100)
    assert kv_bytes(sixteen, 100) * 8 == kv_bytes(one, 100)  # 8 heads, 16 cards


def test_expert_parallelism_moves_experts_and_saves_no_memory() -> None:
    sliced = family(MIXTRAL, Precision.BF16, Gpu.H100, tensor_parallel=2)
    whole = sliced.model_copy(update={"expert_parallel": 2})
    assert weights_bytes(sliced) == weights_bytes(whole)


@pytest.mark.parametrize(
    ("model", "precision", "gpu", "cards", "fits"),
    [
        (MIXTRAL, Precision.BF16, Gpu.H100, 1, False),  # 87 GiB on 79.6
        (MIXTRAL, Precision.BF16, Gpu.H100, 2, True),
        (MIXTRAL, Precision.BF16, Gpu.H200, 1, True),
        (MIXTRAL, Precision.FP8, Gpu.H100, 1, True),
        (MIXTRAL, Precision.AWQ_INT4, Gpu.H100, 1, True),
        (LLAMA_70B, Precision.BF16, Gpu.H200, 1, False),  # 131 GiB on 140.4, of which 126 usable
        (LLAMA_70B, Precision.BF16, Gpu.H200, 2, True),
        (LLAMA_70B, Precision.FP8, Gpu.H100, 1, False),  # 68 GiB of weights leave 4 GiB
        (LLAMA_70B, Precision.FP8, Gpu.H200, 1, True),
    ],
)
def test_large_models_need_two_cards_or_fewer_bits(
    model: Model, precision: Precision, gpu: Gpu, cards: int, fits: bool
) -> None:
    assert fit(family(model, precision, gpu, tensor_parallel=cards)).fits is fits


def test_the_explanation_shows_the_arithmetic_and_the_way_out() -> None:
    assert fit(family(MIXTRAL, Precision.BF16, Gpu.H100)).explanation == (
        "Mixtral-8x7B-Instruct-v0.1 bf16 on 1 x h100: weights 87.0 GiB + KV 0.5 GiB (4096 tokens)"
        " + reserve 3.0 GiB = 90.5 GiB, 71.7 GiB available (0.90 of 79.6 GiB):"
        " needs tensor_parallel 2 or fp8 or h200"
    )


def test_a_model_that_no_suggestion_saves_says_so() -> None:
    vast = LLAMA_70B.model_copy(update={"layers": 2000})
    told = fit(family(vast, Precision.BF16, Gpu.H100)).explanation
    assert told.endswith(": fits no card known here")


def test_a_closed_loop_must_find_room_for_all_of_its_requests() -> None:
    fp8 = family(LLAMA_70B, Precision.FP8, Gpu.H100, tensor_parallel=2)
    assert fit(fp8, [closed_loop(2)]).kv_tokens == 4096  # one longest request needs more
    assert fit(fp8, [closed_loop(100)]).kv_tokens == 100_000
    assert fit(fp8, [closed_loop(100)]).fits
    assert not fit(fp8, [closed_loop(1000)]).fits


def test_a_pinned_cache_counts_in_full_and_must_hold_a_request() -> None:
    pinned = family(MIXTRAL, Precision.FP8, Gpu.H100, kv_cache_bytes=20 * GIB)
    assert fit(pinned).kv_bytes == 20 * GIB
    assert fit(pinned).fits
    small = pinned.model_copy(update={"kv_cache_bytes": GIB // 4})
    assert not fit(small).fits
    assert fit(small).explanation.endswith("4096 tokens need kv_cache_bytes of 0.5 GiB or more")


def test_a_cpu_host_is_asked_for_its_pinned_cache_only() -> None:
    huge = fit(family(LLAMA_70B, Precision.BF16, Gpu.CPU, kv_cache_bytes=4 * GIB))
    assert huge.fits
    assert huge.available_bytes is None
    assert "memory of the host is not known here" in huge.explanation
    assert not fit(family(LLAMA_70B, Precision.BF16, Gpu.CPU, kv_cache_bytes=GIB)).fits
