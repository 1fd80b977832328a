"""One trial on a ready engine: warm up, measure, check."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runners import checks, measures
from runners.drawing import Drawn, seed_of
from runners.engines.adapter import Adapter
from runners.engines.counters import Counters, gained
from runners.errors import BadRequestFile
from runners.keeper import descendants
from runners.load.client import Client, Window
from runners.phases import Phases
from runners.prometheus import parse
from runners.server import Server, require_answering
from runners.telemetry import metrics as telemetry
from runners.telemetry.processor import busy_seconds, cpu_seconds, used_since
from runners.telemetry.watch import Span, Watch
from runners.workload import Draft, warm_up, warm_up_requests
from schema.arrivals import Arrival
from schema.cells import Cell, Gpu, Workload
from schema.nights import PlannedLaunch
from schema.trials import Trial, TrialState

AGREE = 0.15
"""Two successive warm-up windows agree when their throughputs differ by less than this share."""
MOST_WINDOWS = 12
COUNTED_WITHIN_S = 1.0
"""An engine may count a request a moment after its last token left."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of an engine before it is measured."""

    known: Mapping[str, float]
    """Measurements: memory, start-up."""
    untold: Mapping[str, str]
    """Metrics that it does not tell, each with the reason."""
    profile: Mapping[str, float]
    """Kept beside the engine's own counters."""


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
    drawn: Mapping[str, Drawn]
    """By the slug of the cell."""
    settle: Callable[[], Facts]
    """Ends what may run beside a warm-up, but not beside a measurement, and tells what came out."""
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The measured window with the machine around it."""

    facts: Facts
    warm_up_windows: int
    window: Window
    engine: Counters
    """What the engine counted in the window."""
    machine: Span
    foreign_cpu: float
    telemetry_cpu_s: float


def failed(cell: Cell, replicate: int, error: Exception) -> Trial:
    """A trial that did not end: no numbers."""
    why = f"{type(error).__name__}: {error}"
    seed = seed_of(cell, replicate)
    return Trial(cell=cell, state=TrialState.FAILED, reason=why, seed=seed)


def measure_cell(ready: Ready, cell: Cell) -> Trial:
    """Warm up and measure one cell; raises RunnerError when the engine dies or hangs."""
    drafts = ready.drawn[cell.slug]
    if isinstance(drafts, BadRequestFile):
        return failed(cell, ready.plan.replicate, drafts)
    seed = seed_of(cell, ready.plan.replicate)
    with ready.phases("warm_up"):
        windows, warm = _warm_up(ready, cell, seed, drafts)
    ready.server.require_alive()
    started_at = datetime.now(UTC)
    measured = _measure(ready, cell.workload, drafts, windows)
    ready.server.require_alive()
    with ready.phases("check"):
        evidence = _evidence(drafts, measured, cell.family.gpu, warm=warm)
        return _trial(cell, seed, started_at, evidence, measured)


def _warm_up(ready: Ready, cell: Cell, seed: int, measured: Sequence[Draft]) -> tuple[int, bool]:
    """(windows sent, whether two successive ones agreed)."""
    workload = cell.workload.model_copy(
        update={"arrival": Arrival.CLOSED_LOOP, "rate": None, "concurrency": _width(cell.workload)}
    )
    last = 0.0
    for window in range(MOST_WINDOWS):
        drafts = warm_up(
            cell.workload,
            measured,
            seed=seed,
            window=window,
            vocabulary=cell.family.model.vocabulary,
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


def _measure(
    ready: Ready, workload: Workload, drafts: Sequence[Draft], warm_up_windows: int
) -> _Measured:
    with ready.phases("ask"):
        facts, before = ready.settle(), _counters(ready)
    engine = descendants(ready.server.keeper.pid)
    own = [*engine, os.getpid(), *ready.client.pids, ready.watch.process.pid]
    begin, busy, used = ready.watch.now_s(), busy_seconds(), cpu_seconds(own)
    with ready.phases("measure"):
        window = _send(ready, workload, drafts)
    end, spent = ready.watch.now_s(), busy_seconds() - busy
    using = cpu_seconds(own)
    foreign = max(0.0, spent - used_since(used, using)) / (end - begin) / (os.cpu_count() or 1)
    watching = {pid: used[pid] for pid in used if pid == ready.watch.process.pid}
    with ready.phases("ask"):
        return _Measured(
            facts=facts,
            warm_up_windows=warm_up_windows,
            window=window,
            engine=_counted(ready, before, window),
            machine=ready.watch.span(begin, end),
            foreign_cpu=foreign,
            telemetry_cpu_s=used_since(watching, using),
        )


def _counters(ready: Ready) -> Counters:
    return ready.adapter.counters(parse(ready.server.page("/metrics").text))


def _counted(ready: Ready, before: Counters, window: Window) -> Counters:
    """What the engine counted in the window, as soon as it has counted all of it."""
    good = sum(request.error is None for request in window.requests)
    deadline = time.monotonic() + COUNTED_WITHIN_S
    while True:
        engine = gained(before, _counters(ready))
        if engine.requests is None or engine.requests >= good or time.monotonic() > deadline:
            return engine
        time.sleep(0.05)


def _trial(
    cell: Cell, seed: int, started_at: datetime, evidence: checks.Evidence, measured: _Measured
) -> Trial:
    done = checks.check(evidence)
    why = checks.reason(done)
    facts, machine = measured.facts, measured.machine
    known = {**facts.known, **telemetry.seen(machine)}
    values, missing = measures.measure(measured.window, cell.workload, known)
    return Trial(
        cell=cell,
        state=TrialState.VALID if why is None else TrialState.INVALID,
        reason=why,
        seed=seed,
        started_at=started_at,
        duration_s=measured.window.duration_s,
        measurements=values,
        not_estimable={**missing, **facts.untold, **telemetry.unseen(machine, cell.family.gpu)},
        checks=done,
        requests=measured.window.requests,
        server=_server(measured),
    )


def _evidence(
    drafts: Sequence[Draft], measured: _Measured, gpu: Gpu, *, warm: bool
) -> checks.Evidence:
    return checks.Evidence(
        drafts=drafts,
        window=measured.window,
        engine=measured.engine,
        gpu=gpu,
        throttle_reasons=measured.machine.throttle_reasons,
        unwatched=measured.machine.lost,
        foreign_cpu=measured.foreign_cpu,
        warm=warm,
    )


def _client(window: Window) -> dict[str, float]:
    """How the load's processes did; stamps: 0 where a read's time stood for the kernel's."""
    lags = {f"client_lag_p99_s_{at}": checks.p99(lag) for at, lag in enumerate(window.lag_s)}
    stamps = float(window.kernel_stamps)
    return {"client_cpu_s": window.cpu_s, "client_kernel_stamps": stamps, **lags}


def _server(measured: _Measured) -> dict[str, float]:
    """The engine's own account of the window, and who used the processor."""
    engine = measured.engine
    found = {
        "ttft_mean_s": engine.ttft_mean_s,
        "itl_mean_s": engine.itl_mean_s,
        "e2e_mean_s": engine.e2e_mean_s,
        "queue_mean_s": engine.queue_mean_s,
        "requests": engine.requests,
        "prompt_tokens": engine.prompt_tokens,
        "output_tokens": engine.output_tokens,
        "cached_tokens": engine.cached_tokens,
        "preemptions": engine.preemptions,
        "warm_up_windows": float(measured.warm_up_windows),
        "foreign_cpu": measured.foreign_cpu,
        "telemetry_cpu_s": measured.telemetry_cpu_s,
        **_client(measured.window),
    }
    told = {name: value for name, value in found.items() if value is not None}
    return {**told, **measured.facts.profile}
