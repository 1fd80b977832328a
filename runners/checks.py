"""Checks a trial must pass before its numbers may be believed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from runners.engines.adapter import PROBE_PROMPT
from runners.engines.counters import Counters
from runners.load.client import Window
from runners.workload import Draft
from schema.cells import Gpu
from schema.latencies import latencies, percentile
from schema.trials import Check

FAILED_SHARE = 0.01
"""Failed requests above this share make a trial invalid."""
AGREEMENT = 0.03
"""Largest relative difference between the client's and the engine's own mean."""
TTFT_PATH_S = {Gpu.CPU: 0.010}
"""The engine's TTFT starts when its front end has parsed the request. On a CPU host the front end
shares the cores with the engine, so accepting, parsing and writing back cost up to this much."""
GPU_TTFT_PATH_S = 0.005
ITL_PATH_S = 0.0002
"""Resolution of the comparison of means of gaps."""
LAG_S = {Gpu.CPU: 0.010}
GPU_LAG_S = 0.005
"""Limit of the 99th percentiles of how late the client reads, and in an open loop sends."""
MERGED_SHARE = {Gpu.CPU: 0.05}
GPU_MERGED_SHARE = 0.002
"""Events that may share their stamp with the one before: such gaps are distorted."""
CLOCK_MOVED_S = 0.001
"""By how much the clock of the kernel's stamps may be set or slewed in a window."""
COUNTED = (("engine_requests", "1"), ("engine_prompt_tokens", "tok"), ("engine_tokens", "tok"))
PROBE = (1, len(PROBE_PROMPT), 1)
"""Requests, prompt tokens and answer tokens of asking whether an engine lives."""
FOREIGN_CPU = 0.25
"""Share of a CPU host's cores that others may use while it is measured."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the checks look at."""

    drafts: Sequence[Draft]
    window: Window
    engine: Counters
    """What the engine counted in the window."""
    gpu: Gpu
    throttle_reasons: int | None
    """OR of NVML's clock event reasons that slow a card down; 0 without a GPU, None if untold."""
    unwatched: str | None
    """Why the machine was not watched all through the window."""
    foreign_cpu: float | None
    """Share of the cores used by processes that are neither engine nor client."""
    warm: bool
    """Whether two successive warm-up windows agreed."""


def check(evidence: Evidence) -> tuple[Check, ...]:
    """Every check, passed or not, with what was observed and its limit."""
    client = _client(evidence)
    vouched = evidence.window.kernel_stamps and all(one.passed for one in client)
    found = [
        _failures(evidence),
        _tokens(evidence),
        _cache_hits(evidence),
        _warmed_up(evidence),
        *_counts(evidence),
        *client,
        _throttling(evidence),
        *_agreements(evidence, vouched=vouched),
    ]
    if evidence.gpu is Gpu.CPU and evidence.foreign_cpu is not None:
        found.append(
            _at_most("foreign_cpu", evidence.foreign_cpu, FOREIGN_CPU, "1", "others on this host")
        )
    return tuple(found)


def reason(checks: Sequence[Check]) -> str | None:
    """Why a trial is invalid, or None."""
    failed = [f"{c.name}: {c.note}" if c.note else c.name for c in checks if not c.passed]
    return "; ".join(failed) or None


def no_expert_twice(repeated_share: float) -> Check:
    """Of a family that returns its experts: a router chooses each at most once for a token, and
    what was never captured is returned as expert 0 twice."""
    what = "choices with an expert named twice"
    return _at_most("distinct_experts", repeated_share, 0.0, "1", what)


def _at_most(name: str, observed: float, limit: float, unit: str, what: str) -> Check:
    passed = observed <= limit
    seen, allowed = (_readable(value, unit, limit) for value in (observed, limit))
    note = "" if passed else f"{what}: {seen}, limit {allowed}"
    return Check(name=name, passed=passed, observed=observed, limit=limit, unit=unit, note=note)


def _readable(value: float, unit: str, limit: float) -> str:
    """Times in ms, shares in %, counts as they are."""
    if unit == "s":
        return f"{value * 1e3:.3g} ms"
    if unit == "1":
        return f"{value:.1%}" if 0 < limit < 1 else f"{value:g}"
    return f"{value:g} {unit}"


def _failures(evidence: Evidence) -> Check:
    requests, asked = evidence.window.requests, len(evidence.drafts)
    errors = [r.error for r in requests if r.error is not None]
    failed = asked - len(requests) + len(errors)  # a load that was given up sent fewer
    share = failed / asked
    what = f"{failed} of {asked} requests failed, first: {errors[:1]}"
    return _at_most("failed_requests", share, FAILED_SHARE, "1", what)


def _tokens(evidence: Evidence) -> Check:
    asked = {draft.index: (len(draft.prompt), draft.output_tokens) for draft in evidence.drafts}
    good = [r for r in evidence.window.requests if r.error is None]
    wrong = sum((r.input_tokens, r.output_tokens) != asked[r.index] for r in good)
    what = "requests whose prompt or answer is not as long as asked"
    return _at_most("token_counts", wrong, 0, "1", what)


def _cache_hits(evidence: Evidence) -> Check:
    hits = evidence.engine.cached_tokens or 0.0
    return _at_most("prefix_cache_hits", hits, 0, "tok", "prompt tokens came from the prefix cache")


def _warmed_up(evidence: Evidence) -> Check:
    note = "" if evidence.warm else "no two successive warm-up windows agreed"
    return Check(name="warm", passed=evidence.warm, note=note)


def _counts(evidence: Evidence) -> list[Check]:
    """The engine's own counts of the window against the client's.

    They are equal, except that the engine may have got further with a request that failed, and was
    then asked for one token more to see whether it lives (`require_answering`).
    """
    good = {r.index: r for r in evidence.window.requests if r.error is None}
    lost = [draft for draft in evidence.drafts if draft.index not in good]
    more = [len(lost), sum(len(d.prompt) for d in lost), sum(d.output_tokens for d in lost)]
    if lost:
        more = [number + probe for number, probe in zip(more, PROBE, strict=True)]
    ours = [
        len(good),
        sum(request.input_tokens for request in good.values()),
        sum(request.output_tokens for request in good.values()),
    ]
    seen = evidence.engine
    theirs = [seen.requests, seen.prompt_tokens, seen.output_tokens]
    found = zip(COUNTED, ours, theirs, more, strict=True)
    return [
        _count(name, unit, mine, counted, further)
        for (name, unit), mine, counted, further in found
        if counted is not None
    ]


def _count(name: str, unit: str, ours: float, theirs: float, more: float) -> Check:
    what = f"the client counted {ours:g}, the engine {theirs:g}; they differ by"
    apart = ours - theirs if theirs < ours else max(0.0, theirs - ours - more)
    return _at_most(name, apart, 0, unit, what)


def _client(evidence: Evidence) -> list[Check]:
    """Whether the load client was fast enough for what it measured."""
    window, gpu = evidence.window, evidence.gpu
    lag, merged = LAG_S.get(gpu, GPU_LAG_S), MERGED_SHARE.get(gpu, GPU_MERGED_SHARE)
    events = max(1, sum(len(request.event_s) for request in window.requests))
    lagging = max(map(p99, window.lag_s), default=0.0)
    together = "events read together with the one before"
    found = [
        _at_most("client_lag_p99", lagging, lag, "s", "a process read late"),
        _at_most("merged_reads", window.merged / events, merged, "1", together),
    ]
    if window.late_s:
        found.append(_at_most("late_sends_p99", p99(window.late_s), lag, "s", "sent late"))
    if window.kernel_stamps:
        moved = abs(window.clock_moved_s)
        what = "the clock of the kernel's stamps was set"
        found.append(_at_most("clock_moved", moved, CLOCK_MOVED_S, "s", what))
    return found


def p99(values: Sequence[float]) -> float:
    return percentile(sorted(values), 0.99) if values else 0.0


def _throttling(evidence: Evidence) -> Check:
    """A card that was not watched may have been slow; one that cannot tell is believed."""
    bits, unwatched = evidence.throttle_reasons, evidence.unwatched
    note = ""
    if evidence.gpu is not Gpu.CPU and unwatched is not None:
        note = f"whether the GPU was slowed down is not known: {unwatched}"
    elif bits is None:
        return Check(name="throttled", passed=True, note="the card tells no clock event reasons")
    elif bits:
        note = f"the GPU was slowed down, NVML clock event reasons {bits:#x}"
    seen = None if bits is None else float(bits)
    return Check(name="throttled", passed=not note, observed=seen, limit=0.0, note=note)


def _agreements(evidence: Evidence, *, vouched: bool) -> list[Check]:
    """The client's means against the engine's own, which begin and end inside of its front end.

    A client that the kernel vouches for may be above: then the front end took the rest, and users
    wait for it as well. Below the engine's own it is wrong in any case.
    """
    seen, theirs = latencies(evidence.window.requests), evidence.engine
    path = TTFT_PATH_S.get(evidence.gpu, GPU_TTFT_PATH_S)
    return [
        *_agreement("ttft_agrees", seen.ttft, theirs.ttft_mean_s, path, vouched=vouched),
        *_agreement("itl_agrees", seen.itl, theirs.itl_mean_s, ITL_PATH_S, vouched=vouched),
    ]


def _agreement(
    name: str, ours: Sequence[float], theirs: float | None, path_s: float, *, vouched: bool
) -> list[Check]:
    """Within 3 %, or the part of the path that the engine cannot see."""
    if theirs is None or not ours:
        return []
    mean = sum(ours) / len(ours)
    limit = max(AGREEMENT * theirs, path_s)
    apart = max(0.0, theirs - mean) if vouched else abs(mean - theirs)
    means = [_readable(value, "s", limit) for value in (mean, theirs)]
    what = f"client mean {means[0]}, engine's own {means[1]}; they differ by"
    return [_at_most(name, apart, limit, "s", what)]
