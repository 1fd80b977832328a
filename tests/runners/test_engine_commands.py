"""What runners know of engines: command lines, environments, model folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.engines import nccl
from runners.engines.adapter import Start
from runners.engines.catalogue import ADAPTERS
from runners.engines.sglang import Sglang
from runners.engines.vllm import Vllm
from runners.errors import UnsupportedCell
from runners.model_files import hugging_face_config, model_folder
from schema.cells import Cell, Engine, Family, Gpu, KvCacheDtype, Precision
from schema.models import Model, Weights

CellMaker = Callable[..., Cell]
GIB = 2**30
DUMMY = "--load-format dummy --skip-tokenizer-init"
UNFUSED = "--compilation-config.pass_config.fuse_allreduce_rms false"
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
        "version": "0.5.11" if asked.engine is Engine.SGLANG else "0.32.0",
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
        ({"tensor_parallel": 2}, f"{DUMMY} --tensor-parallel-size 2 {UNFUSED}"),
        (
            {"model": REAL, "tensor_parallel": 2, "expert_parallel": 2},
            f"--tensor-parallel-size 2 --enable-expert-parallel {UNFUSED}",
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


@pytest.mark.parametrize(
    ("version", "caching"),
    [("0.25.1", "--no-enable-prefix-caching"), ("0.32.0", "--enable-prefix-caching")],
)
def test_vllm_returns_experts_from_its_prefix_cache_where_it_must(
    version: str, caching: str
) -> None:
    asked = family(settings=(("enable-return-routed-experts", None),))
    command = ADAPTERS[Engine.VLLM].command(start(asked, version=version))
    assert [part for part in command if part.endswith("prefix-caching")] == [caching]
    assert "--enable-return-routed-experts" in command


def test_vllm_on_a_cpu_takes_its_cache_and_cores_from_the_environment() -> None:
    asked = family(gpu=Gpu.CPU, model=REAL, kv_cache_bytes=2 * GIB)
    assert "gpu-memory" not in flags(asked)
    assert "--kv-cache-memory-bytes" not in flags(asked)
    variables = Vllm().environment(start(asked))
    assert variables["VLLM_TARGET_DEVICE"] == "cpu"
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert variables["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("engine", Engine)
def test_several_cards_talk_without_multicast(engine: Engine) -> None:
    def said(tensor_parallel: int) -> dict[str, str]:
        asked = family(engine=engine, tensor_parallel=tensor_parallel)
        return ADAPTERS[engine].environment(start(asked))

    assert nccl.WITHOUT_MULTICAST.items() <= said(2).items()
    assert said(2)["NCCL_DEBUG"] == "VERSION"  # NCCL then says once which one it is
    assert not {name for name in said(1) if "NCCL" in name or "SYMM" in name}


def test_vllm_uses_no_all_reduce_of_its_own_that_needs_multicast() -> None:
    variables = Vllm().environment(start(family(tensor_parallel=2)))
    assert variables["VLLM_ALLREDUCE_USE_SYMM_MEM"] == "0"
    assert variables["VLLM_ALLREDUCE_USE_FLASHINFER"] == "0"


def test_a_setting_that_vllm_would_lose_is_refused() -> None:
    """Of two ways to write one flag it keeps the dotted one."""
    lost = (("compilation-config", '{"mode": 0}'),)
    assert "compilation-config" in flags(family(settings=lost))
    with pytest.raises(UnsupportedCell, match=r"write compilation-config\.KEY instead"):
        flags(family(settings=lost, tensor_parallel=2))


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("NCCL version 2.28.9+cuda13.0", "2.28.9"),
        ("(Worker_TP0 pid=9) INFO [pynccl.py:113] vLLM is using nccl==2.29.7", "2.29.7"),
        ("[2026-11-22 05:38:32 TP0] sglang is using nccl==2.27.7", "2.27.7"),
        ("backend=nccl", None),
    ],
)
def test_the_nccl_of_a_launch_is_the_one_that_says_so(line: str, version: str | None) -> None:
    assert nccl.version(f"INFO: one\n{line}\nINFO: two\n") == version


@pytest.mark.parametrize(
    ("workers", "cores", "bound", "threads"),
    [
        (2, (0, 1, 2, 3), "0,2|1,3", "2"),
        (2, (0, 1, 2), "0,2|1", "1"),
        (2, (0,), "0|0", "1"),  # vLLM refuses to do it by itself
        (1, (0, 1, 2), None, "3"),
    ],
)
def test_workers_on_a_cpu_share_its_cores(
    workers: int, cores: tuple[int, ...], bound: str | None, threads: str
) -> None:
    asked = family(gpu=Gpu.CPU, tensor_parallel=workers)
    variables = Vllm().environment(start(asked, compute_cores=cores))
    assert variables.get("VLLM_CPU_OMP_THREADS_BIND") == bound
    assert variables["OMP_NUM_THREADS"] == threads
    assert not any("NCCL" in name for name in variables)


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
        "--load-format dummy --mem-fraction-static 0.88"
    )


def test_a_family_names_another_attention_of_sglang() -> None:
    asked = family(engine=Engine.SGLANG, settings=(("attention-backend", "fa3"),))
    line = " ".join(Sglang().command(start(asked)))
    assert line.count("--attention-backend") == 1
    assert "--attention-backend fa3" in line
    assert "--sampling-backend pytorch" in line


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tensor_parallel": 2}, "2"),  # after --tp-size
        ({"tensor_parallel": 2, "expert_parallel": 2}, "2 --ep-size 2"),
        ({"precision": Precision.FP8}, "--quantization fp8"),
        ({"precision": Precision.FP8, "model": MIXTRAL}, "--load-format dummy"),
        ({"kv_cache_dtype": KvCacheDtype.FP8}, "--kv-cache-dtype fp8_e4m3"),
        # 2 x 32 layers x 8 heads x 128 x 2 B = 128 KiB a token
        ({"kv_cache_bytes": 2 * GIB}, "--max-total-tokens 16384"),
        ({"kv_cache_bytes": 2 * GIB, "tensor_parallel": 2}, "2 --max-total-tokens 32768"),
        ({"settings": (("max-running-requests", "64"),)}, "--max-running-requests 64"),
    ],
)
def test_a_sglang_family_adds_its_own_flags(changes: dict[str, Any], expected: str) -> None:
    assert flags(family(**{"engine": Engine.SGLANG, "model": REAL, **changes})) == expected


NO_PREFILL_GRAPHS = "--cuda-graph-backend-prefill disabled"


@pytest.mark.parametrize(
    ("setting", "version", "expected"),
    [
        ("disable-piecewise-cuda-graph", "0.5.11", "--disable-piecewise-cuda-graph"),
        ("disable-piecewise-cuda-graph", "0.5.13", "--disable-piecewise-cuda-graph"),
        ("disable-piecewise-cuda-graph", "0.5.14", NO_PREFILL_GRAPHS),
        ("disable-piecewise-cuda-graph", "0.5.17", NO_PREFILL_GRAPHS),
        ("disable-piecewise-cuda-graph", "0.5.23", NO_PREFILL_GRAPHS),
        ("disable-cuda-graph", "0.5.11", "--disable-cuda-graph"),
        (
            "disable-cuda-graph",
            "0.5.23",
            f"--cuda-graph-backend-decode disabled {NO_PREFILL_GRAPHS}",
        ),
    ],
)
def test_a_sglang_setting_keeps_its_name_when_the_flag_is_renamed(
    setting: str, version: str, expected: str
) -> None:
    """One cell for all versions, or they could not be compared."""
    asked = family(engine=Engine.SGLANG, model=REAL, settings=((setting, None),))
    line = " ".join(Sglang().command(start(asked, version=version)))
    assert line.endswith(f"--mem-fraction-static 0.88 {expected}")


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


def test_a_dummy_model_is_a_config_of_the_true_shape(tmp_path: Path) -> None:
    folder = model_folder(family(precision=Precision.FP8), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["MixtralForCausalLM"]
    assert (config["num_local_experts"], config["num_experts_per_tok"]) == (8, 2)
    assert config["quantization_config"] == {"quant_method": "fp8", "activation_scheme": "dynamic"}
    assert "num_local_experts" not in hugging_face_config(family(model=LLAMA))


def test_a_dummy_model_of_sglang_has_a_tokenizer_with_a_text_for_every_token(
    tmp_path: Path,
) -> None:
    """Its completions fail without a text, and an empty one might be swallowed."""
    folder = model_folder(family(engine=Engine.SGLANG), tmp_path)
    words = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert sorted(words.values()) == list(range(MIXTRAL.vocabulary))
    assert all(words)
    assert not (model_folder(family(), tmp_path) / "tokenizer.json").exists()


@pytest.mark.parametrize("engine", Engine)
def test_fp8_of_dummy_weights_is_named_in_the_config_for_both_engines(
    engine: Engine, tmp_path: Path
) -> None:
    asked = family(engine=engine, precision=Precision.FP8)
    config = json.loads((model_folder(asked, tmp_path) / "config.json").read_text())
    assert config["quantization_config"] == {"quant_method": "fp8", "activation_scheme": "dynamic"}
    assert "--quantization" not in ADAPTERS[engine].command(start(asked))


def test_a_checkpoint_that_is_not_here_is_refused_with_the_next_step(tmp_path: Path) -> None:
    absent = REAL.model_copy(update={"name": str(tmp_path / "nowhere")})
    with pytest.raises(UnsupportedCell, match=r"put the checkpoint there, or say `weights: dummy`"):
        model_folder(family(model=absent), tmp_path)


def test_a_checkpoint_is_served_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ours = REAL.model_copy(update={"name": str(tmp_path)})
    assert model_folder(family(model=ours), tmp_path / "other") == tmp_path
