"""SGLang on CUDA, from its documented flags (0.5.11 to 0.5.23)."""

import re
from collections.abc import Mapping

from runners.engines.adapter import Counters, Start
from runners.errors import UnsupportedCell
from runners.prometheus import Samples
from schema.cells import Engine, Gpu, KvCacheDtype, Precision
from schema.models import Weights

GIB = 2**30  # SGLang prints "GB" and means GiB


class Sglang:
    """Radix cache off, seed fixed, metrics on."""

    engine: Engine = Engine.SGLANG
    # /health generates a token and perturbs an idle engine; 0.5.17 answers 404 to /ready
    health_paths: tuple[str, ...] = ("/ready", "/health")
    info_path: str = "/server_info"

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
        command += ["--attention-backend", "triton", "--sampling-backend", "pytorch"]
        command += ["--tp-size", str(family.tensor_parallel)]
        if family.expert_parallel > 1:
            command += ["--ep-size", str(family.expert_parallel)]
        if family.model.weights is Weights.DUMMY:
            command += ["--load-format", "dummy", "--skip-tokenizer-init"]
        elif family.precision is Precision.FP8:
            command += ["--quantization", "fp8"]
        if family.kv_cache_dtype is KvCacheDtype.FP8:
            command += ["--kv-cache-dtype", "fp8_e4m3"]
        if family.kv_cache_bytes is not None:
            command += ["--max-total-tokens", str(_kv_tokens(start))]
        else:
            command += ["--mem-fraction-static", "0.88"]
        for flag, value in family.settings:
            command += [f"--{flag}"] if value is None else [f"--{flag}", value]
        return command + list(start.flags)

    def environment(self, start: Start) -> dict[str, str]:
        return {
            "HF_HUB_OFFLINE": "1",
            "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0",
            "SGL_FORCE_SHUTDOWN": "1",  # stop at SIGTERM instead of draining
            "TORCHINDUCTOR_CACHE_DIR": str(start.caches / "inductor"),
            "TRITON_CACHE_DIR": str(start.caches / "triton"),
        }

    def counters(self, samples: Samples) -> Counters:
        get = samples.get
        return Counters(
            cached_tokens=get("sglang:cached_tokens_total"),
            preemptions=get("sglang:num_retracted_requests_total"),
            output_tokens=get("sglang:generation_tokens_total"),
            ttft_sum_s=get("sglang:time_to_first_token_seconds_sum"),
            ttft_count=get("sglang:time_to_first_token_seconds_count"),
            itl_sum_s=get("sglang:inter_token_latency_seconds_sum"),
            itl_count=get("sglang:inter_token_latency_seconds_count"),
        )

    def memory(self, log: str, samples: Samples) -> dict[str, float]:
        del samples  # the gauges came later than the log lines
        found: dict[str, float] = {}
        weights = re.search(r"Load weight end\..*?mem usage=([\d.]+) GB", log)
        if weights:
            found["weight_memory"] = float(weights[1]) * GIB
        graphs = re.findall(r"Capture .*?graph end\..*?mem usage=([\d.]+) GB", log, re.IGNORECASE)
        if graphs:
            found["graph_memory"] = sum(float(size) for size in graphs) * GIB
        tokens = re.search(r"max_total_num_tokens=(\d+)", log)
        if tokens:
            found["kv_cache_capacity"] = float(tokens[1])
        return found

    def effective(self, info: Mapping[str, object]) -> dict[str, str]:
        return {key: str(info[key]) for key in _EFFECTIVE if key in info}


_EFFECTIVE = (
    *("version", "dtype", "quantization", "kv_cache_dtype", "tp_size", "ep_size"),
    *("context_length", "max_total_tokens", "max_running_requests", "chunked_prefill_size"),
    *("attention_backend", "sampling_backend", "disable_radix_cache", "random_seed"),
    *("mem_fraction_static", "disable_cuda_graph", "schedule_policy"),
)


def _kv_tokens(start: Start) -> int:
    """Tokens that the pinned bytes of one device hold."""
    family = start.family
    width = 1 if family.kv_cache_dtype is KvCacheDtype.FP8 else 2
    heads = max(1, family.model.kv_heads // family.tensor_parallel)
    per_token = 2 * family.model.layers * heads * family.model.head_dim * width
    return (family.kv_cache_bytes or 0) // per_token
