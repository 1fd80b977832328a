"""A workload in words and units, and what one draw of it looks like."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from runners.workload import Draft
from schema.arrivals import Arrival, Pattern
from schema.cells import Limits, Workload
from schema.latencies import percentile
from schema.lengths import AnyLengths, Lengths, Uniform
from schema.request_files import RequestFile

FIRST = 4
"""Requests of a draw that are shown."""


def described(workload: Workload) -> str:
    """bursts: 24 requests at 4 req/s, gamma gaps of burstiness 0.25; prompts 64 tok, ..."""
    parts = [
        f"{workload.requests} requests {_load(workload)}",
        f"prompts {_lengths(workload.input_tokens)}, answers {_lengths(workload.output_tokens)}",
        *([_file(workload.file)] if workload.file else []),
        *([_limits(workload.limits)] if workload.limits != Limits() else []),
    ]
    return f"{workload.name}: {'; '.join(parts)}"


def drawn(workload: Workload, drafts: Sequence[Draft]) -> list[str]:
    """Lines that show one draw: its lengths, its arrivals and its first requests."""
    prompts = [len(draft.prompt) for draft in drafts]
    answers = [draft.output_tokens for draft in drafts]
    lines = [f"prompts {_spread(prompts, 'tok')}", f"answers {_spread(answers, 'tok')}"]
    times = [draft.scheduled_s for draft in drafts]
    if workload.arrival is Arrival.OPEN_LOOP and len(times) > 1:
        gaps = [after - before for before, after in pairwise(times)]
        lines.append(f"sent within {times[-1]:.3g} s, gaps {_spread(gaps, 's')}")
    for draft in drafts[:FIRST]:
        ids = " ".join(map(str, draft.prompt[:6]))
        asked = f"{len(draft.prompt)} tok [{ids} ...], answer {draft.output_tokens} tok"
        lines.append(f"#{draft.index} at {draft.scheduled_s:.3f} s: prompt {asked}")
    return lines


def _load(workload: Workload) -> str:
    if workload.arrival is Arrival.OFFLINE:
        return "all at once"
    if workload.arrival is Arrival.CLOSED_LOOP:
        return f"with {workload.concurrency} in flight"
    if workload.rate is None:
        faster = f", {workload.speed_up:g} times as fast" if workload.speed_up != 1 else ""
        return f"at recorded times{faster}"
    if workload.ramp is not None:
        rates = f"from {workload.rate:g} to {workload.ramp.to:g} req/s ({workload.ramp.shape} ramp)"
        return f"{rates}, {_pattern(workload)}"
    return f"at {workload.rate:g} req/s, {_pattern(workload)}"


def _pattern(workload: Workload) -> str:
    if workload.pattern is Pattern.GAMMA:
        return f"gamma gaps of burstiness {workload.burstiness:g}"
    return {Pattern.CONSTANT: "equal gaps"}.get(workload.pattern, "Poisson")


def _lengths(lengths: AnyLengths) -> str:
    if isinstance(lengths, Uniform):
        return f"{lengths.shortest} to {lengths.longest} tok"
    if not isinstance(lengths, Lengths):
        return f"from the file up to {lengths.longest} tok"
    if lengths.sigma == 0:
        return f"{lengths.mean:g} tok"
    longest = f"longest {lengths.longest}"
    return f"log-normal of mean {lengths.mean:g} tok (sigma {lengths.sigma:g}, {longest})"


def _file(file: RequestFile) -> str:
    beyond = [f"shorter than {file.shortest} tok"] if file.shortest > 1 else []
    if file.longest_total is not None:
        beyond.append(f"longer than {file.longest_total} tok together")
    without = f" without what is {' or '.join(beyond)}" if beyond else ""
    return f"{file.holds} from {file.path} ({file.sha256[:8]}){without}"


def _limits(limits: Limits) -> str:
    named = {"TTFT": limits.ttft_s, "ITL": limits.itl_s, "E2E": limits.e2e_s}
    told = [f"{name} {value * 1e3:g} ms" for name, value in named.items() if value is not None]
    return f"good within {', '.join(told)}"


def _spread(values: Sequence[float], unit: str) -> str:
    ordered = sorted(values)
    shown = [ordered[0], ordered[-1], fmean(ordered), *(percentile(ordered, q) for q in (0.5, 0.9))]
    least, most, mean, middle, high = map(_number, shown)
    return f"{least} to {most} {unit}, mean {mean}, p50 {middle}, p90 {high}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
