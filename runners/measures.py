"""From requests to measurements. Pure; base units; nothing is invented where data are missing."""

from runners.load.client import Window
from schema.cells import Limits, Workload
from schema.latencies import Latencies, latencies, percentile
from schema.metrics import METRICS
from schema.requests import Request
from schema.stalls import stall_measurements

PERCENTILES = (50, 90, 99)


def measure(
    window: Window, workload: Workload, known: dict[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """(measurements, not estimable with the reason). `known` are memory, energy and start-up."""
    good = [request for request in window.requests if request.error is None]
    values, missing = _percentiles(latencies(good))
    seconds, limits = window.duration_s, workload.limits
    out = sum(request.output_tokens for request in good)
    if good:
        values["output_throughput"] = throughput = out / seconds
        values["total_throughput"] = (out + sum(r.input_tokens for r in good)) / seconds
        values["request_throughput"] = len(good) / seconds
        values |= stall_measurements(window.requests, workload, seconds, throughput)
    if limits != Limits():
        kept = sum(keeps(request, limits) for request in good)
        values["goodput"] = kept / seconds
        if window.requests:
            values["goodput_share"] = kept / len(window.requests)  # a failed one kept nothing
    if "itl_p99" in values and values["itl_p50"] > 0:
        values["tail_ratio_itl"] = values["itl_p99"] / values["itl_p50"]
    elif "itl_p99" in missing:
        missing["tail_ratio_itl"] = missing["itl_p99"]
    values |= {name: value for name, value in known.items() if name in METRICS}
    if known.get("energy_j") and out:
        values["energy_per_token"] = known["energy_j"] / out
    if known.get("gpu_memory_together") and good:
        values["throughput_per_gpu_gb"] = out / seconds / (known["gpu_memory_together"] / 1e9)
    return values, missing


def keeps(request: Request, limits: Limits) -> bool:
    """Whether one request kept every limit of its workload.

    `itl_s` limits the request's mean time per token after the first, as `tpot` does in
    `vllm bench serve --goodput` and in DistServe (Zhong et al. 2024, arXiv 2401.09670).
    """
    seen = latencies([request])
    pairs = (
        (limits.ttft_s, seen.ttft),
        (limits.itl_s, seen.tpot),
        (limits.e2e_s, seen.e2e),
    )
    return all(limit is None or all(v <= limit for v in values) for limit, values in pairs)


def _percentiles(seen: Latencies) -> tuple[dict[str, float], dict[str, str]]:
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for base in ("ttft", "itl", "tpot", "e2e"):
        observed = sorted(getattr(seen, base))
        for share in PERCENTILES:
            name = f"{base}_p{share}"
            need = METRICS[name].least_observations
            if len(observed) >= need:
                values[name] = percentile(observed, share / 100)
            else:
                missing[name] = f"{len(observed)} observations, needs {need}"
    return values, missing
