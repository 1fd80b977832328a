"""SGLang on CUDA. Flags, paths and names were read in the sources of 0.5.11 to 0.5.23."""

from collections.abc import Mapping
from types import MappingProxyType

from packaging.version import Version

from runners.engines import counters, nccl, sglang_memory
from runners.engines.adapter import Memory, Start, Told
from runners.engines.counters import Counters
from runners.engines.experts import Experts, from_int32, text_at
from runners.errors import UnsupportedCell
from runners.prometheus import Samples, only
from schema.cells import Engine, Family, Gpu, KvCacheDtype, Precision
from schema.models import Weights

COUNTED = {
    "requests": "sglang:num_requests_total",
    "prompt_tokens": "sglang:prompt_tokens_total",
    "output_tokens": "sglang:generation_tokens_total",
    "cached_tokens": "sglang:cached_tokens_total",
    "preemptions": "sglang:num_retracted_requests_total",
    "ttft": "sglang:time_to_first_token_seconds",
    "itl": "sglang:inter_token_latency_seconds",
    "e2e": "sglang:e2e_request_latency_seconds",
    "queue": "sglang:queue_time_seconds",
}
"""Its names, the same from 0.5.11 to 0.5.23. Requests and tokens are counted when a request ends;
a counter appears with its first use, so that one without hits is absent."""

BACKENDS = {"attention-backend": "triton", "sampling-backend": "pytorch"}
"""Unless a family's settings name others (docs/decisions/0032)."""
_NO_PREFILL_GRAPHS = ("--cuda-graph-backend-prefill", "disabled")
_NO_DECODE_GRAPHS = ("--cuda-graph-backend-decode", "disabled")
RENAMED_IN = Version("0.5.14")
RENAMED: dict[str, tuple[str, ...]] = {
    "disable-piecewise-cuda-graph": _NO_PREFILL_GRAPHS,
    "disable-cuda-graph": (*_NO_DECODE_GRAPHS, *_NO_PREFILL_GRAPHS),
}
"""Settings of a cell by the name they had first, as later versions call them. 0.5.23 has lost the
old names, and a cell must be one cell for all."""


class Sglang:
    """Radix cache off, seed fixed, metrics on."""

    engine: Engine = Engine.SGLANG
    # /health generates a token and perturbs an idle engine; 0.5.17 answers 404 to /ready
    health_paths: tuple[str, ...] = ("/ready", "/health")
    info_path: str = "/server_info"
    asks_experts: Mapping[str, object] = MappingProxyType({"return_routed_experts": True})

    def command(self, start: Start) -> list[str]:
        family = start.family
        if family.gpu is Gpu.CPU:
            raise UnsupportedCell("sglang has no build for CPU hosts; use engine vllm on gpu cpu")
        command = [start.python, "-m", "sglang.launch_server", "--model-path", str(start.model)]
        command += ["--served-model-name", start.served_name]
        command += ["--host", "127.0.0.1", "--port", str(start.port)]
        command += ["--dtype", "bfloat16", "--context-length", str(family.max_model_len)]
        command += ["--disable-radix-cache", "--random-seed", "0", "--stream-interval", "1"]
        command += ["--enable-metrics", "--skip-server-warmup", "--grammar-backend", "none"]
        command += _backends(family)
        command += ["--tp-size", str(family.tensor_parallel)]
        if family.expert_parallel > 1:
            command += ["--ep-size", str(family.expert_parallel)]
        if family.model.weights is Weights.DUMMY:
            # with --skip-tokenizer-init its /v1/completions fails for want of a text: the folder
            # of a dummy model has a made-up tokenizer
            command += ["--load-format", "dummy"]
        elif family.precision is Precision.FP8:
            command += ["--quantization", "fp8"]
        if family.kv_cache_dtype is KvCacheDtype.FP8:
            command += ["--kv-cache-dtype", "fp8_e4m3"]
        if family.kv_cache_bytes is not None:
            command += ["--max-total-tokens", str(_kv_tokens(start))]
        else:
            command += ["--mem-fraction-static", "0.88"]
        return command + _settings(start) + list(start.flags)

    def environment(self, start: Start) -> dict[str, str]:
        return {
            "HF_HUB_OFFLINE": "1",
            "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0",
            "SGL_FORCE_SHUTDOWN": "1",  # stop at SIGTERM instead of draining
            "TORCHINDUCTOR_CACHE_DIR": str(start.caches / "inductor"),
            "TRITON_CACHE_DIR": str(start.caches / "triton"),
            **nccl.environment(start.family),
        }

    def counters(self, samples: Samples) -> Counters:
        # every rank of a tensor-parallel engine sees, and some histograms count, every request
        return counters.read(only(samples, "tp_rank", "0"), COUNTED)

    def memory(self, told: Told) -> Memory:
        return sglang_memory.memory(told)

    def experts(self, answer: Mapping[str, object]) -> Experts:
        return from_int32(text_at(answer, "sglext", "routed_experts"))  # beside the choices

    def effective(self, info: Mapping[str, object]) -> dict[str, str]:
        return {key: str(info[key]) for key in EFFECTIVE if key in info}


EFFECTIVE = (
    *("version", "dtype", "quantization", "kv_cache_dtype", "tp_size", "ep_size"),
    *("context_length", "max_total_tokens", "max_running_requests", "chunked_prefill_size"),
    *("attention_backend", "sampling_backend", "disable_radix_cache", "random_seed"),
    *("mem_fraction_static", "disable_cuda_graph", "schedule_policy"),
)


def _backends(family: Family) -> list[str]:
    named = dict(family.settings)
    own = {flag: value for flag, value in BACKENDS.items() if flag not in named}
    return [word for flag, value in own.items() for word in (f"--{flag}", value)]


def _settings(start: Start) -> list[str]:
    """The cell's own settings, as this version calls them."""
    found: list[str] = []
    for flag, value in start.family.settings:
        if flag in RENAMED and Version(start.version) >= RENAMED_IN:
            found += RENAMED[flag]
        else:
            found += [f"--{flag}"] if value is None else [f"--{flag}", value]
    return found


def _kv_tokens(start: Start) -> int:
    """Tokens that the pinned bytes of one device hold."""
    family = start.family
    width = 1 if family.kv_cache_dtype is KvCacheDtype.FP8 else 2
    heads = max(1, family.model.kv_heads // family.tensor_parallel)
    per_token = 2 * family.model.layers * heads * family.model.head_dim * width
    return (family.kv_cache_bytes or 0) // per_token
