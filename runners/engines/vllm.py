"""vLLM on CPU and CUDA from one code path."""

from collections.abc import Mapping
from types import MappingProxyType

from packaging.version import Version

from runners.engines import counters, nccl, vllm_memory
from runners.engines.adapter import Memory, Start, Told
from runners.engines.counters import Counters
from runners.engines.experts import Experts, from_npy, text_at
from runners.errors import UnsupportedCell
from runners.prometheus import Samples
from schema.cells import Engine, Family, Gpu, KvCacheDtype, Precision
from schema.models import Weights

GIB = 2**30

# Run as -c and not as -m: the engine's child processes would import the whole API server again
# because multiprocessing re-imports a main module that has a name (measured: 3 s of 30 on a CPU).
_API_SERVER = (
    "import runpy; runpy.run_module('vllm.entrypoints.openai.api_server', run_name='__main__')"
)

# `fp8` on a bf16 checkpoint is refused from 0.31 on; this name is accepted from 0.20 on.
_ONLINE_FP8 = "fp8_per_tensor"

_CACHED_EXPERTS = Version("0.31")
"""From here on --enable-return-routed-experts requires prefix caching."""

COUNTED = {
    "requests": "vllm:request_success_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "output_tokens": "vllm:generation_tokens_total",
    "cached_tokens": "vllm:prefix_cache_hits_total",
    "preemptions": "vllm:num_preemptions_total",
    "ttft": "vllm:time_to_first_token_seconds",
    "itl": "vllm:inter_token_latency_seconds",
    "e2e": "vllm:e2e_request_latency_seconds",
    "queue": "vllm:request_queue_time_seconds",
}
"""Its names, the same from 0.20 to 0.33; one label set an engine and a reason to finish."""


class Vllm:
    """Flags as documented for vLLM 0.20 to 0.33."""

    engine: Engine = Engine.VLLM
    health_paths: tuple[str, ...] = ("/health",)
    info_path: str = "/server_info?config_format=json"
    asks_experts: Mapping[str, object] = MappingProxyType({})

    def command(self, start: Start) -> list[str]:
        family = start.family
        command = [start.python, "-c", _API_SERVER]
        command += ["--model", str(start.model), "--served-model-name", start.served_name]
        command += ["--host", "127.0.0.1", "--port", str(start.port)]
        command += ["--dtype", "bfloat16", "--max-model-len", str(family.max_model_len)]
        command += [*_caching_flags(start), "--seed", "0", "--stream-interval", "1"]
        command += ["--generation-config", "vllm"]
        if family.model.weights is Weights.DUMMY:
            command += ["--load-format", "dummy", "--skip-tokenizer-init"]
        if family.tensor_parallel > 1:
            command += ["--tensor-parallel-size", str(family.tensor_parallel)]
        if family.expert_parallel > 1:
            command += ["--enable-expert-parallel"]
        if family.devices > 1:
            command += _unfused(family)
        if _in_one_process(family):
            command += ["--distributed-executor-backend", "uni"]
        command += _precision_flags(family) + _memory_flags(family)
        for flag, value in family.settings:
            command += [f"--{flag}"] if value is None else [f"--{flag}", value]
        return command + list(start.flags)

    def environment(self, start: Start) -> dict[str, str]:
        variables = {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_SERVER_DEV_MODE": "1",  # /server_info exists only then
            "VLLM_CACHE_ROOT": str(start.caches / "vllm"),
            "TORCHINDUCTOR_CACHE_DIR": str(start.caches / "inductor"),
            "TRITON_CACHE_DIR": str(start.caches / "triton"),
        }
        workers = start.family.tensor_parallel
        if start.family.gpu is Gpu.CPU:
            variables["VLLM_TARGET_DEVICE"] = "cpu"
            kv_cache = start.family.kv_cache_bytes or GIB
            variables["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, kv_cache // GIB))
            variables["OMP_NUM_THREADS"] = str(max(1, len(start.compute_cores) // workers))
            if workers > 1:
                variables["VLLM_CPU_OMP_THREADS_BIND"] = _bound(start.compute_cores, workers)
            if _in_one_process(start.family):
                variables["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # else `uni` becomes `mp`
        else:
            variables["VLLM_USE_FLASHINFER_SAMPLER"] = "0"  # compiles kernels at run time
        if start.family.devices > 1:
            variables |= {"VLLM_ALLREDUCE_USE_SYMM_MEM": "0", "VLLM_ALLREDUCE_USE_FLASHINFER": "0"}
        return variables | nccl.environment(start.family)

    def counters(self, samples: Samples) -> Counters:
        return counters.read(samples, COUNTED)

    def memory(self, told: Told) -> Memory:
        return vllm_memory.memory(told)

    def experts(self, answer: Mapping[str, object]) -> Experts:
        return from_npy(text_at(answer, "choices", 0, "routed_experts"))

    def effective(self, info: Mapping[str, object]) -> dict[str, str]:
        """Flattened model, cache, parallel and scheduler configuration; absent before 0.2x."""
        chosen: dict[str, str] = {}
        settings = info.get("vllm_config")
        for part, keys in _EFFECTIVE.items():
            group = settings.get(part) if isinstance(settings, Mapping) else None
            if isinstance(group, Mapping):
                chosen |= {f"{part}.{key}": str(group[key]) for key in keys if key in group}
        return chosen


_EFFECTIVE = {
    "model_config": ("dtype", "max_model_len", "quantization", "enforce_eager", "seed"),
    "cache_config": (
        *("block_size", "num_gpu_blocks", "kv_cache_size_tokens", "cache_dtype"),
        *("enable_prefix_caching", "gpu_memory_utilization", "kv_cache_memory_bytes"),
    ),
    "parallel_config": ("tensor_parallel_size", "enable_expert_parallel", "data_parallel_size"),
    "scheduler_config": ("max_num_seqs", "max_num_batched_tokens", "async_scheduling"),
    "compilation_config": ("mode", "cudagraph_mode"),
}


def _in_one_process(family: Family) -> bool:
    """On a CPU, core and worker share a process: one import of 9 s less, and no spinning between
    them for the core that the client needs."""
    return family.gpu is Gpu.CPU and family.tensor_parallel == 1


def _bound(cores: tuple[int, ...], workers: int) -> str:
    """Cores of each worker, `0,2|1,3`; without so many they share all, which vLLM does not do by
    itself: it wants a NUMA node for each."""
    shares = (
        cores[worker::workers] if workers <= len(cores) else cores for worker in range(workers)
    )
    return "|".join(",".join(map(str, share)) for share in shares)


def _unfused(family: Family) -> list[str]:
    """Fused with the norm, an all-reduce goes through FlashInfer, whose first choice is multicast.

    Raises UnsupportedCell for a whole compilation-config: vLLM would lose it beside the dotted one.
    """
    if "compilation-config" in dict(family.settings):
        raise UnsupportedCell(
            "settings: with several cards compilation-config.pass_config.fuse_allreduce_rms is set "
            "here, and vllm would lose the rest: write compilation-config.KEY instead"
        )
    return ["--compilation-config.pass_config.fuse_allreduce_rms", "false"]


def _caching_flags(start: Start) -> list[str]:
    """Later versions return experts from the blocks of the prefix cache only; no prompt shares
    its first token with another, so that nothing is taken from there."""
    needed = start.family.returns_experts and Version(start.version) >= _CACHED_EXPERTS
    return ["--enable-prefix-caching" if needed else "--no-enable-prefix-caching"]


def _precision_flags(family: Family) -> list[str]:
    flags = []
    if family.precision is Precision.FP8 and family.model.weights is not Weights.DUMMY:
        flags += ["--quantization", _ONLINE_FP8]
    if family.kv_cache_dtype is KvCacheDtype.FP8:
        flags += ["--kv-cache-dtype", "fp8"]
    return flags


def _memory_flags(family: Family) -> list[str]:
    """On a CPU the KV space is a variable of the environment, not a flag."""
    if family.gpu is Gpu.CPU:
        return []
    if family.kv_cache_bytes is not None:
        return ["--kv-cache-memory-bytes", str(family.kv_cache_bytes)]
    return ["--gpu-memory-utilization", "0.90"]
