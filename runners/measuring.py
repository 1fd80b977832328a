"""One trial on a ready engine: warm up, measure, check."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runners import checks, measures, telemetry
from runners.engines.adapter import Adapter, Counters
from runners.keeper import descendants
from runners.load.client import Client, Window
from runners.phases import Phases
from runners.prometheus import parse
from runners.server import Server, require_answering
from runners.telemetry import Watch
from runners.workload import Draft, draw, warm_up, warm_up_requests
from schema.cells import Arrival, Cell, Workload
from schema.nights import PlannedLaunch
from schema.trials import Trial, TrialState

AGREE = 0.15
"""Two successive warm-up windows agree when their throughputs differ by less than this share."""
MOST_WINDOWS = 12


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A healthy engine and what a trial on it needs."""

    plan: PlannedLaunch
    adapter: Adapter
    server: Server
    client: Client
    served_name: str
    watch: Watch
    phases: Phases
    settle: Callable[[], None]
    """Ends what may run beside a warm-up, but not beside a measurement."""
    known: dict[str, float]
    """Measurements known from the start: memory, start-up."""
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The measured window with the machine around it."""

    window: Window
    before: Counters
    after: Counters
    span_s: tuple[float, float]
    """Of the watch's clock."""
    foreign_cpu: float


def failed(cell: Cell, replicate: int, reason: str) -> Trial:
    """A trial that did not end: no numbers."""
    seed = cell.workload.seed + replicate
    return Trial(cell=cell, state=TrialState.FAILED, reason=reason, seed=seed)


def measure_cell(ready: Ready, cell: Cell) -> Trial:
    """Warm up and measure one cell; raises RunnerError when the engine dies or hangs."""
    seed = cell.workload.seed + ready.plan.replicate
    vocabulary = cell.family.model.vocabulary
    with ready.phases("warm_up"):
        windows, warm = _warm_up(ready, cell, seed)
    ready.server.require_alive()
    drafts = draw(cell.workload, seed=seed, vocabulary=vocabulary)
    started_at = datetime.now(UTC)
    measured = _measure(ready, cell.workload, drafts)
    ready.server.require_alive()
    with ready.phases("check"):
        return _trial(ready, cell, seed, started_at, drafts, measured, (warm, windows))


def _warm_up(ready: Ready, cell: Cell, seed: int) -> tuple[int, bool]:
    """(windows sent, whether two successive ones agreed)."""
    workload = cell.workload.model_copy(
        update={"arrival": Arrival.CLOSED_LOOP, "rate": None, "concurrency": _width(cell.workload)}
    )
    last = 0.0
    for window in range(MOST_WINDOWS):
        drafts = warm_up(
            cell.workload, seed=seed, window=window, vocabulary=cell.family.model.vocabulary
        )
        seen = _send(ready, workload, drafts)
        speed = sum(r.output_tokens for r in seen.requests) / seen.duration_s
        if last and abs(speed / last - 1) < AGREE:
            return window + 1, True
        last = speed
        ready.server.require_alive()
    return MOST_WINDOWS, False


def _width(workload: Workload) -> int:
    """Requests in flight while warming up."""
    return workload.concurrency or warm_up_requests(workload)


def _send(ready: Ready, workload: Workload, drafts: Sequence[Draft]) -> Window:
    """One window of load; raises EngineDied or EngineHung when nothing answers after a failure."""
    window = ready.client.send(ready.served_name, workload, drafts, timeout_s=ready.timeout_s)
    if any(request.error is not None for request in window.requests):
        require_answering(ready.server, ready.served_name)
    return window


def _measure(ready: Ready, workload: Workload, drafts: Sequence[Draft]) -> _Measured:
    with ready.phases("ask"):
        ready.settle()
        before = ready.adapter.counters(parse(ready.server.page("/metrics").text))
    engine = descendants(ready.server.keeper.pid)
    own = [*engine, os.getpid(), *ready.client.pids]
    begin, busy, ours = ready.watch.now_s(), telemetry.busy_seconds(), telemetry.cpu_seconds(own)
    with ready.phases("measure"):
        window = _send(ready, workload, drafts)
    end, spent = ready.watch.now_s(), telemetry.busy_seconds() - busy
    foreign = max(0.0, spent - (telemetry.cpu_seconds(own) - ours)) / (end - begin) / _cores()
    with ready.phases("ask"):
        after = ready.adapter.counters(parse(ready.server.page("/metrics").text))
    return _Measured(
        window=window, before=before, after=after, span_s=(begin, end), foreign_cpu=foreign
    )


def _cores() -> int:
    return os.cpu_count() or 1


def _trial(
    ready: Ready,
    cell: Cell,
    seed: int,
    started_at: datetime,
    drafts: Sequence[Draft],
    measured: _Measured,
    warmed: tuple[bool, int],
) -> Trial:
    evidence = checks.Evidence(
        drafts=drafts,
        window=measured.window,
        before=measured.before,
        after=measured.after,
        gpu=cell.family.gpu,
        throttle_reasons=ready.watch.throttle_reasons(*measured.span_s),
        foreign_cpu=measured.foreign_cpu,
        warm=warmed[0],
    )
    done = checks.check(evidence)
    known = ready.known | _machine(ready, measured)
    values, missing = measures.measure(measured.window, cell.workload.limits, known)
    why = checks.reason(done)
    return Trial(
        cell=cell,
        state=TrialState.VALID if why is None else TrialState.INVALID,
        reason=why,
        seed=seed,
        started_at=started_at,
        duration_s=measured.window.duration_s,
        measurements=values,
        not_estimable=missing,
        checks=done,
        requests=measured.window.requests,
        server=_server(measured) | {"warm_up_windows": float(warmed[1])},
    )


def _machine(ready: Ready, measured: _Measured) -> dict[str, float]:
    """Peaks so far on this launch and the energy of the window; absent where not readable."""
    seen = {
        "gpu_memory_peak": ready.watch.peak_memory(None),
        "host_memory_peak": ready.watch.peak_memory("cpu"),
        "energy_j": ready.watch.energy_j(*measured.span_s),
    }
    return {name: value for name, value in seen.items() if value is not None}


def _server(measured: _Measured) -> dict[str, float]:
    """The engine's own counters over the window."""
    before, after = measured.before, measured.after
    ttft = checks.mean_since(
        (after.ttft_sum_s, before.ttft_sum_s), (after.ttft_count, before.ttft_count)
    )
    itl = checks.mean_since(
        (after.itl_sum_s, before.itl_sum_s), (after.itl_count, before.itl_count)
    )
    found = {
        "ttft_mean_s": ttft,
        "itl_mean_s": itl,
        "preemptions": checks.delta(after.preemptions, before.preemptions),
        "cached_tokens": checks.delta(after.cached_tokens, before.cached_tokens),
        "output_tokens": checks.delta(after.output_tokens, before.output_tokens),
        "foreign_cpu": measured.foreign_cpu,
        "client_cpu_s": measured.window.cpu_s,
    }
    return {name: value for name, value in found.items() if value is not None}
