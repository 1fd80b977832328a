"""What runners know of engines: command lines, environments, logs, pages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.engines.adapter import Start
from runners.engines.catalogue import ADAPTERS
from runners.engines.sglang import Sglang
from runners.engines.vllm import Vllm
from runners.errors import UnsupportedCell
from runners.model_files import hugging_face_config, model_folder
from runners.prometheus import parse
from schema.cells import Cell, Engine, Family, Gpu, KvCacheDtype, Precision
from schema.models import Model, Weights

CellMaker = Callable[..., Cell]
GIB = 2**30
DATA = Path(__file__).parents[3] / "shared" / "data" / "engine_logs"
DUMMY = "--load-format dummy --skip-tokenizer-init"
LLAMA = Model(
    name="meta-llama/Meta-Llama-3.1-8B-Instruct",
    weights=Weights.DUMMY,
    layers=32,
    hidden=4096,
    intermediate=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=128256,
    max_position=131072,
)
MIXTRAL = LLAMA.model_copy(
    update={"name": "mistralai/Mixtral-8x7B", "experts": 8, "active_experts": 2}
)
REAL = MIXTRAL.model_copy(update={"weights": Weights.REAL})


def family(**changes: Any) -> Family:
    usual: dict[str, Any] = {
        "engine": Engine.VLLM,
        "model": MIXTRAL,
        "precision": Precision.BF16,
        "gpu": Gpu.H100,
        "max_model_len": 4096,
    }
    return Family(**usual | changes)


def start(asked: Family, **changes: Any) -> Start:
    usual: dict[str, Any] = {
        "family": asked,
        "python": "/engine/bin/python",
        "model": Path("/models/it"),
        "served_name": "tailwatch-1",
        "port": 8000,
        "caches": Path("/caches"),
        "compute_cores": (0,),
    }
    return Start(**usual | changes)


def flags(asked: Family, **changes: Any) -> str:
    """The command line without what every launch of its engine has."""
    line = ADAPTERS[asked.engine].command(start(asked, **changes))
    usual = ADAPTERS[asked.engine].command(start(family(engine=asked.engine, model=REAL)))
    return " ".join(part for part in line if part not in usual)


def log(name: str) -> str:
    if not DATA.is_dir():
        pytest.skip(f"real engine logs are not here: {DATA}")
    return (DATA / name).read_text()


def test_a_vllm_command_is_its_documented_flags() -> None:
    line = Vllm().command(start(family()))
    assert line[0] == "/engine/bin/python"
    assert "vllm.entrypoints.openai.api_server" in line[2]
    assert " ".join(line[3:]) == (
        "--model /models/it --served-model-name tailwatch-1 --host 127.0.0.1 --port 8000 "
        "--dtype bfloat16 --max-model-len 4096 --no-enable-prefix-caching --seed 0 "
        "--stream-interval 1 --generation-config vllm --load-format dummy --skip-tokenizer-init "
        "--gpu-memory-utilization 0.90"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": REAL}, ""),  # the checkpoint is loaded
        ({}, DUMMY),
        ({"tensor_parallel": 2}, f"{DUMMY} --tensor-parallel-size 2"),
        (
            {"model": REAL, "tensor_parallel": 2, "expert_parallel": 2},
            "--tensor-parallel-size 2 --enable-expert-parallel",
        ),
        ({"model": REAL, "kv_cache_bytes": 2 * GIB}, f"--kv-cache-memory-bytes {2 * GIB}"),
        ({"precision": Precision.FP8}, DUMMY),
        ({"model": REAL, "precision": Precision.FP8}, "--quantization fp8_per_tensor"),
        ({"model": REAL, "kv_cache_dtype": KvCacheDtype.FP8}, "--kv-cache-dtype fp8"),
        (
            {"model": REAL, "settings": (("enforce-eager", None), ("max-num-seqs", "64"))},
            "--enforce-eager --max-num-seqs 64",
        ),
    ],
)
def test_a_vllm_family_adds_its_own_flags(changes: dict[str, Any], expected: str) -> None:
    assert flags(family(**changes)) == expected


def test_vllm_on_a_cpu_takes_its_cache_and_cores_from_the_environment() -> None:
    asked = family(gpu=Gpu.CPU, model=REAL, kv_cache_bytes=2 * GIB)
    assert "gpu-memory" not in flags(asked)
    assert "--kv-cache-memory-bytes" not in flags(asked)
    variables = Vllm().environment(start(asked))
    assert variables["VLLM_TARGET_DEVICE"] == "cpu"
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert variables["OMP_NUM_THREADS"] == "1"


def test_a_variants_flags_come_last() -> None:
    assert flags(family(model=REAL), flags=("--enforce-eager",)) == "--enforce-eager"


def test_a_sglang_command_is_its_documented_flags() -> None:
    line = Sglang().command(start(family(engine=Engine.SGLANG)))
    assert " ".join(line) == (
        "/engine/bin/python -m sglang.launch_server --model-path /models/it "
        "--served-model-name tailwatch-1 --host 127.0.0.1 --port 8000 --dtype bfloat16 "
        "--context-length 4096 --disable-radix-cache --random-seed 0 --stream-interval 1 "
        "--enable-metrics --skip-server-warmup --grammar-backend none "
        "--attention-backend triton --sampling-backend pytorch --tp-size 1 "
        "--load-format dummy --skip-tokenizer-init --mem-fraction-static 0.88"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tensor_parallel": 2}, "2"),  # after --tp-size
        ({"tensor_parallel": 2, "expert_parallel": 2}, "2 --ep-size 2"),
        ({"precision": Precision.FP8}, "--quantization fp8"),
        ({"precision": Precision.FP8, "model": MIXTRAL}, DUMMY),
        ({"kv_cache_dtype": KvCacheDtype.FP8}, "--kv-cache-dtype fp8_e4m3"),
        # 2 x 32 layers x 8 heads x 128 x 2 B = 128 KiB a token
        ({"kv_cache_bytes": 2 * GIB}, "--max-total-tokens 16384"),
        ({"kv_cache_bytes": 2 * GIB, "tensor_parallel": 2}, "2 --max-total-tokens 32768"),
        ({"settings": (("disable-piecewise-cuda-graph", None),)}, "--disable-piecewise-cuda-graph"),
    ],
)
def test_a_sglang_family_adds_its_own_flags(changes: dict[str, Any], expected: str) -> None:
    assert flags(family(**{"engine": Engine.SGLANG, "model": REAL, **changes})) == expected


def test_sglang_does_not_run_on_a_cpu() -> None:
    with pytest.raises(UnsupportedCell, match="use engine vllm on gpu cpu"):
        Sglang().command(start(family(engine=Engine.SGLANG, gpu=Gpu.CPU)))


@pytest.mark.parametrize("engine", Engine)
def test_nothing_passes_through_a_shell(engine: Engine) -> None:
    line = ADAPTERS[engine].command(
        start(family(engine=engine, settings=(("note", "$(reboot); a b"),)))
    )
    assert "$(reboot); a b" in line  # one argument, as it is
    assert all(isinstance(part, str) for part in line)


@pytest.mark.parametrize("engine", Engine)
def test_compilation_caches_belong_to_the_build(engine: Engine) -> None:
    variables = ADAPTERS[engine].environment(start(family(engine=engine)))
    assert variables["TORCHINDUCTOR_CACHE_DIR"] == "/caches/inductor"
    assert variables["TRITON_CACHE_DIR"] == "/caches/triton"
    assert variables["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("engine", "name", "expected"),
    [
        (
            Engine.VLLM,
            "vllm-0.25.1-h200-llama-3.1-8b-bf16.log",
            {
                "weight_memory": 15.0 * GIB,
                "kv_cache_capacity": 921_696,
                "graph_memory": 0.98 * GIB,
            },
        ),
        (
            Engine.VLLM,
            "vllm-0.25.1-h200-mixtral-8x7b-bf16.log",
            {
                "weight_memory": 87.0 * GIB,
                "kv_cache_capacity": 319_264,
                "graph_memory": 0.64 * GIB,
            },
        ),
        (
            Engine.VLLM,
            "vllm-0.25.1-h100-mixtral-8x7b-fp8.log",
            {
                "weight_memory": 43.78 * GIB,
                "kv_cache_capacity": 215_680,
                "graph_memory": 0.69 * GIB,
            },
        ),
        (
            Engine.VLLM,
            "vllm-0.32.0-cpu-tiny-mixtral.log",
            {"kv_cache_capacity": 524_288},  # a CPU tells neither weights nor graphs
        ),
        (
            Engine.SGLANG,
            "sglang-0.5.17-h100-llama-3.1-8b-bf16.log",
            {
                "weight_memory": 15.02 * GIB,
                "kv_cache_capacity": 410_380,
                "graph_memory": (1.47 + 0.21) * GIB,  # prefill and decode graphs
            },
        ),
        (
            Engine.SGLANG,
            "sglang-0.5.17-h100-mixtral-8x7b-fp8.log",
            {
                "weight_memory": 43.77 * GIB,
                "kv_cache_capacity": 178_111,
                "graph_memory": 0.25 * GIB,
            },
        ),
    ],
)
def test_memory_is_read_from_real_logs(
    engine: Engine, name: str, expected: dict[str, float]
) -> None:
    assert ADAPTERS[engine].memory(log(name), {}) == pytest.approx(expected)


@pytest.mark.parametrize("engine", Engine)
def test_what_a_log_does_not_say_is_absent(engine: Engine) -> None:
    assert ADAPTERS[engine].memory("INFO: Application startup complete.", {}) == {}


def test_vllms_own_page_beats_its_log() -> None:
    samples = parse('vllm:cache_config_info{kv_cache_size_tokens="512"} 1.0')
    assert Vllm().memory("GPU KV cache size: 1,024 tokens", samples) == {"kv_cache_capacity": 512}


def test_effective_settings_are_read_from_a_real_reply() -> None:
    told = Vllm().effective(json.loads(log("vllm_0.32_server_info_json.json")))
    assert told["model_config.dtype"] == "torch.bfloat16"
    assert told["model_config.max_model_len"] == "1024"
    assert told["model_config.enforce_eager"] == "True"
    assert {key.partition(".")[0] for key in told} >= {
        *("model_config", "cache_config", "parallel_config", "scheduler_config"),
    }


@pytest.mark.parametrize("reply", [{}, {"detail": "Not Found"}, {"vllm_config": "a long text"}])
def test_a_version_without_the_page_has_no_effective_settings(reply: dict[str, object]) -> None:
    assert Vllm().effective(reply) == {}
    assert Sglang().effective(reply) == {}


def test_counters_are_read_by_name_and_absent_ones_are_none() -> None:
    page = """
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf"} 4.0
vllm:time_to_first_token_seconds_count{engine="0"} 4.0
vllm:time_to_first_token_seconds_sum{engine="0"} 0.5
vllm:prefix_cache_hits_total{engine="0"} 3.0
vllm:prefix_cache_hits_total{engine="1"} 4.0
"""
    told = Vllm().counters(parse(page))
    assert (told.ttft_sum_s, told.ttft_count) == (0.5, 4.0)
    assert told.cached_tokens == 7.0  # over both engines
    assert told.itl_sum_s is None
    assert Sglang().counters(parse(page)).ttft_count is None


def test_a_dummy_model_is_a_config_of_the_true_shape(tmp_path: Path) -> None:
    folder = model_folder(family(precision=Precision.FP8), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["MixtralForCausalLM"]
    assert (config["num_local_experts"], config["num_experts_per_tok"]) == (8, 2)
    assert config["quantization_config"] == {"quant_method": "fp8", "activation_scheme": "dynamic"}
    assert "num_local_experts" not in hugging_face_config(family(model=LLAMA))


def test_a_checkpoint_that_is_not_here_is_refused_with_the_next_step(tmp_path: Path) -> None:
    absent = REAL.model_copy(update={"name": str(tmp_path / "nowhere")})
    with pytest.raises(UnsupportedCell, match=r"put the checkpoint there, or say `weights: dummy`"):
        model_folder(family(model=absent), tmp_path)


def test_a_checkpoint_is_served_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ours = REAL.model_copy(update={"name": str(tmp_path)})
    assert model_folder(family(model=ours), tmp_path / "other") == tmp_path
