"""Memory taken apart: real logs, and the words of each version."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.engines.adapter import EXPECTED, Told
from runners.engines.catalogue import ADAPTERS
from runners.prometheus import parse
from schema.cells import Engine, Gpu

GIB = 2**30


def told(log: str = "", page: str = "", version: str = "0.32.0", **info: Any) -> Told:
    samples = parse(page)
    return Told(version=version, gpu=Gpu.H100, log=log, samples=samples, info=info)


def known(engine: Engine, said: Told) -> dict[str, float]:
    """What it told; what it did not is told as missing, each with what was looked for."""
    memory = ADAPTERS[engine].memory(said)
    assert {*memory.known, *memory.untold} == set(EXPECTED[said.gpu])
    assert not set(memory.known) & set(memory.untold)
    assert all(memory.untold.values())
    return dict(memory.known)


REAL = [
    # engine, log, weights GiB, KV GiB, KV tokens, graphs GiB
    (Engine.VLLM, "vllm-0.25.1-h200-llama-3.1-8b-bf16", 15.0, 112.51, 921_696, 0.98),
    (Engine.VLLM, "vllm-0.25.1-h200-mixtral-8x7b-bf16", 87.0, 38.97, 319_264, 0.64),
    (Engine.VLLM, "vllm-0.25.1-h100-mixtral-8x7b-fp8", 43.78, 26.33, 215_680, 0.69),
    (Engine.SGLANG, "sglang-0.5.17-h100-llama-3.1-8b-bf16", 15.02, 50.1, 410_380, 1.47 + 0.21),
    (Engine.SGLANG, "sglang-0.5.17-h100-mixtral-8x7b-fp8", 43.77, 21.74, 178_111, 0.25),
]


@pytest.mark.parametrize(("engine", "name", "weights", "kv", "tokens", "graphs"), REAL)
def test_memory_is_read_from_real_logs(
    shared_data: Path,
    engine: Engine,
    name: str,
    weights: float,
    kv: float,
    tokens: int,
    graphs: float,
) -> None:
    log = (shared_data / "engine_logs" / f"{name}.log").read_text()
    found = known(engine, told(log, version=name.split("-")[1]))
    assert found == pytest.approx(
        {
            "weight_memory": weights * GIB,
            "kv_cache_memory": kv * GIB,
            "kv_cache_capacity": tokens,
            "graph_memory": graphs * GIB,
        }
    )


def test_the_bytes_of_a_real_cache_hold_its_tokens(shared_data: Path) -> None:
    """2 x 32 layers x 8 heads x 128 x 2 B = 128 KiB a token, in both engines."""
    for engine, name, *_ in REAL:
        log = (shared_data / "engine_logs" / f"{name}.log").read_text()
        found = known(engine, told(log, version=name.split("-")[1]))
        tokens = found["kv_cache_memory"] / (128 * 1024)
        assert tokens == pytest.approx(found["kv_cache_capacity"], rel=0.001), name


def test_a_real_cpu_tells_its_cache_only(shared_data: Path) -> None:
    log = (shared_data / "engine_logs" / "vllm-0.32.0-cpu-tiny-mixtral.log").read_text()
    memory = ADAPTERS[Engine.VLLM].memory(replace(told(log), gpu=Gpu.CPU))
    assert memory.known == {"kv_cache_capacity": 524_288, "kv_cache_memory": GIB}
    assert memory.untold == {}  # nobody expects graphs there
    as_on_a_card = ADAPTERS[Engine.VLLM].memory(told(log)).untold
    assert as_on_a_card["weight_memory"].startswith("vllm 0.32.0 said nothing like: Model loading")
    assert "Graph capturing finished in N secs" in as_on_a_card["graph_memory"]


@pytest.mark.parametrize("engine", Engine)
def test_what_an_engine_does_not_say_is_told_and_never_zero(engine: Engine) -> None:
    assert known(engine, told("INFO: Application startup complete.")) == {}


VLLM_WORDS = {
    "V1 runner": ("Model loading took 15.0 GiB memory and 2.39 seconds", "weight_memory"),
    "V2 runner of 0.20 and 0.24": ("Model loading took 15.0 GiB and 2.39 seconds", "weight_memory"),
    "0.20": ("GPU KV cache size: 15 tokens\n", "kv_cache_capacity"),
    "0.28": (
        "GPU KV cache size: 15 tokens, Maximum concurrency for 4 tokens per request: 3.75x",
        "kv_cache_capacity",
    ),
    "0.30": (
        "CPU KV cache size: 15 tokens, Maximum concurrency for 4 tokens per request: 3.75x",
        "kv_cache_capacity",
    ),
    "0.33 with pools": (
        "GPU + host KV cache size: 15 tokens, Maximum concurrency for 4 tokens per request: 3.75x",
        "kv_cache_capacity",
    ),
    "left over": ("Available KV cache memory: 15.0 GiB", "kv_cache_memory"),
    "pinned": (
        "Initial free memory 78.1 GiB, reserved 15.0 GiB memory for KV Cache as specified by "
        "kv_cache_memory_bytes config and skipped memory profiling.",
        "kv_cache_memory",
    ),
    "graphs": ("Graph capturing finished in 4 secs, took 15.0 GiB", "graph_memory"),
}


@pytest.mark.parametrize("words", VLLM_WORDS)
def test_each_wording_of_vllm_is_read(words: str) -> None:
    line, name = VLLM_WORDS[words]
    value = 15 if name == "kv_cache_capacity" else 15 * GIB
    assert known(Engine.VLLM, told(f"(EngineCore) INFO [x.py:1] {line}")) == {name: value}


VLLM_TWO_WORKERS = """\
(Worker_TP1_EP1 pid=12) INFO [x.py:1] Model loading took 43.52 GiB memory and 2 seconds
(Worker_TP0_EP0 pid=11) INFO [x.py:1] Model loading took 43.51 GiB memory and 3 seconds
(Worker_TP1_EP1 pid=12) INFO [x.py:1] Available KV cache memory: 80.25 GiB
(Worker_TP0_EP0 pid=11) INFO [x.py:1] Available KV cache memory: 80.5 GiB
(EngineCore pid=10) INFO [x.py:1] GPU KV cache size: 1,314,816 tokens
(Worker_TP1_EP1 pid=12) INFO [x.py:1] Graph capturing finished in 9 secs, took 0.5 GiB
"""


def test_vllm_is_read_for_one_worker_whichever_spoke_first() -> None:
    """In the prefixes that 0.32.0 gives two workers on a CPU; the last is said by one of them."""
    assert known(Engine.VLLM, told(VLLM_TWO_WORKERS)) == pytest.approx(
        {
            "weight_memory": 43.51 * GIB,
            "kv_cache_memory": 80.5 * GIB,
            "kv_cache_capacity": 1_314_816,
            "graph_memory": 0.5 * GIB,
        }
    )


OLD = (
    "Actual usage is 15.0 GiB for weight, 2.0 GiB for peak activation, 0.5 GiB for non-torch "
    "memory, and 1.0 GiB for CUDAGraph memory."
)
NEW = (
    "Actual usage is 15.5 GiB for consumed memory (weights + non-torch), 2.0 GiB for peak "
    "activation, and 1.0 GiB for CUDAGraph memory."
)


@pytest.mark.parametrize(
    ("version", "line", "expected"),
    [
        (
            "0.20.0",
            OLD,
            {
                "weights_bytes@0.20": 15.0,
                "activation_bytes@0.20": 2.0,
                "non_torch_bytes@0.20": 0.5,
                "graphs_bytes@0.20": 1.0,
            },
        ),
        ("0.24.0", OLD.replace("2.0", "3.0"), {"activation_bytes@0.20": 3.0}),
        ("0.28.0", NEW, {"weights_and_non_torch_bytes@0.28": 15.5, "activation_bytes@0.28": 2.0}),
        ("0.30.0", NEW, {"activation_bytes@0.28": 2.0}),
        ("0.33.0", NEW, {"activation_headroom_and_graph_estimate_bytes@0.33": 2.0}),
    ],
)
def test_a_profile_is_named_by_what_its_words_meant(
    version: str, line: str, expected: dict[str, float]
) -> None:
    profile = ADAPTERS[Engine.VLLM].memory(told(line, version=version)).profile
    assert {name: profile[name] for name in expected} == {
        name: value * GIB for name, value in expected.items()
    }
    (generation,) = {name.partition("@")[2] for name in profile}
    assert all(name.endswith(f"@{generation}") for name in expected)


def test_vllms_own_pages_beat_its_log() -> None:
    log = "GPU KV cache size: 1,024 tokens\nAvailable KV cache memory: 3.00 GiB"
    page = 'vllm:cache_config_info{kv_cache_size_tokens="512"} 1.0'
    pinned = {"cache_config": {"kv_cache_memory_bytes": 2 * GIB}}
    assert known(Engine.VLLM, told(log, page, vllm_config=pinned)) == {
        "kv_cache_capacity": 512,
        "kv_cache_memory": 2 * GIB,
    }


SGLANG_OLD = """\
[2026-05-02 10:00:00 TP0] Load weight end. elapsed=3.01 s, type=LlamaForCausalLM, \
avail mem=63.45 GB, mem usage=7.51 GB.
[2026-05-02 10:00:01 TP1] Load weight end. elapsed=3.02 s, type=LlamaForCausalLM, \
avail mem=63.45 GB, mem usage=7.52 GB.
[2026-05-02 10:00:02 TP0] KV Cache is allocated. #tokens: 900, K size: 1.50 GB, V size: 1.25 GB
[2026-05-02 10:01:00 TP0] Capture cuda graph end. Time elapsed: 7.16 s. mem usage=0.21 GB. \
avail mem=11.45 GB.
[2026-05-02 10:01:00 TP1] Capture cuda graph end. Time elapsed: 7.20 s. mem usage=0.22 GB. \
avail mem=11.45 GB.
[2026-05-02 10:02:00 TP0] Capture piecewise CUDA graph end. Time elapsed: 9.00 s. \
mem usage=1.00 GB. avail mem=10.45 GB.
[2026-05-02 10:02:01 TP0] max_total_num_tokens=900, chunked_prefill_size=8192, \
available_gpu_mem=10.45 GB
"""
OLD_MEMORY = {
    "weight_memory": 7.51 * GIB,
    "kv_cache_memory": 2.75 * GIB,
    "kv_cache_capacity": 900,
    "graph_memory": 1.21 * GIB,
}


def test_a_sglang_log_of_0_5_11_is_read_for_one_rank() -> None:
    assert known(Engine.SGLANG, told(SGLANG_OLD)) == pytest.approx(OLD_MEMORY)


def test_an_old_graph_figure_of_sglang_lacks_the_prefill_and_is_not_taken() -> None:
    usage = {"weight": 7.51, "kvcache": 2.75, "token_capacity": 900, "graph": 0.21}
    states = [{"memory_usage": usage}]
    found = known(Engine.SGLANG, told(SGLANG_OLD, internal_states=states))
    assert found == pytest.approx(OLD_MEMORY)


def test_sglangs_gauges_beat_its_info_which_beats_its_log() -> None:
    usage = {"weight": 15.0, "kvcache": 50.0, "token_capacity": 7, "graph": {"decode": 0.5}}
    states = [{"memory_usage": usage}]
    page = """
sglang:weight_memory_usage_gb{model_name="m",tp_rank="0"} 15.25
sglang:kv_cache_memory_usage_gb{model_name="m",tp_rank="0"} 50.5
sglang:graph_memory_usage_gb{model_name="m",tp_rank="0",phase="prefill"} 1.25
sglang:graph_memory_usage_gb{model_name="m",tp_rank="0",phase="decode"} 0.25
"""
    by_info = known(Engine.SGLANG, told(SGLANG_OLD, internal_states=states))
    assert by_info["graph_memory"] == 0.5 * GIB
    assert known(Engine.SGLANG, told(SGLANG_OLD, page, internal_states=states)) == {
        "weight_memory": 15.25 * GIB,
        "kv_cache_memory": 50.5 * GIB,
        "kv_cache_capacity": 7,
        "graph_memory": 1.5 * GIB,
    }


def test_gauges_of_several_ranks_are_those_of_one_device() -> None:
    page = "\n".join(
        f'sglang:{name}{{tp_rank="{rank}"{phase}}} {value}'
        for rank in range(2)
        for name, phase, value in (
            ("weight_memory_usage_gb", "", 8),
            ("kv_cache_memory_usage_gb", "", 50),
            ("max_total_num_tokens", "", 900),
            ("graph_memory_usage_gb", ',phase="decode"', 0.5),
        )
    )
    assert known(Engine.SGLANG, told("", page)) == {
        "weight_memory": 8 * GIB,
        "kv_cache_memory": 50 * GIB,
        "kv_cache_capacity": 900,
        "graph_memory": 0.5 * GIB,
    }
