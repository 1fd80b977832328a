"""The load client: sends drafts, stamps every read before it is parsed, parses afterwards.

One process, one asyncio loop, one kept-alive connection per request in flight. An answer is read
as raw chunks; only (time, bytes) is kept while the window is measured.
"""

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx

from runners.workload import Draft
from schema.cells import Arrival, Workload
from schema.trials import Request

TICK_S = 0.02
"""How often the loop's own lateness is probed."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one window of load showed."""

    requests: tuple[Request, ...]
    duration_s: float
    """First request scheduled until last token read."""
    lag_s: tuple[float, ...]
    """How late the client's own loop was at each probe, s."""
    late_s: tuple[float, ...]
    """Open loop: sent minus scheduled, s."""


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """One request's raw answer."""

    draft: Draft
    sent_s: float
    chunks: list[tuple[float, bytes]]
    error: str | None


async def send(
    url: str, served_name: str, workload: Workload, drafts: Sequence[Draft], *, timeout_s: float
) -> Window:
    """Send all drafts as the workload's arrival says. A failed request is a row with its error."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=timeout_s, trust_env=False, verify=False
    ) as http:
        await _open_connections(http, min(workload.in_flight, len(drafts), 64))
        bodies = [_body(served_name, draft) for draft in drafts]
        gc.collect()
        gc.disable()  # a collection would stop the clock of every stream at once
        try:
            answers, lag, duration = await _measure(http, workload, drafts, bodies)
        finally:
            gc.enable()
    requests = tuple(sorted((_request(a) for a in answers), key=lambda r: r.index))
    opened = workload.arrival is Arrival.OPEN_LOOP
    late = tuple(r.sent_s - r.scheduled_s for r in requests) if opened else ()
    return Window(requests=requests, duration_s=duration, lag_s=tuple(lag), late_s=late)


async def _measure(
    http: httpx.AsyncClient, workload: Workload, drafts: Sequence[Draft], bodies: list[bytes]
) -> tuple[list[_Answer], list[float], float]:
    began = time.perf_counter()
    lag: list[float] = []
    probe = asyncio.create_task(_probe_lag(lag))
    try:
        pairs = list(zip(drafts, bodies, strict=True))
        if workload.arrival is Arrival.CLOSED_LOOP:
            answers = await _closed(http, workload.in_flight, pairs, began)
        else:
            answers = list(
                await asyncio.gather(*(_one(http, draft, body, began) for draft, body in pairs))
            )
    finally:
        probe.cancel()
    return answers, lag, time.perf_counter() - began


async def _closed(
    http: httpx.AsyncClient, in_flight: int, pairs: list[tuple[Draft, bytes]], began: float
) -> list[_Answer]:
    """As many workers as may be in flight share one queue. A worker that waited in vain gives up:
    the rest of the queue would wait as long, one after the other."""
    queue, answers = iter(pairs), []

    async def worker() -> None:
        for draft, body in queue:
            at = time.perf_counter() - began
            answers.append(await _one(http, replace(draft, scheduled_s=at), body, began))
            if (answers[-1].error or "").startswith(httpx.ReadTimeout.__name__):
                return

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return answers


async def _one(http: httpx.AsyncClient, draft: Draft, body: bytes, began: float) -> _Answer:
    chunks: list[tuple[float, bytes]] = []
    clock, error = time.perf_counter, None
    delay = began + draft.scheduled_s - clock()
    if delay > 0:
        await asyncio.sleep(delay)
    sent = clock()
    try:
        headers = {"content-type": "application/json"}
        async with http.stream("POST", "/v1/completions", content=body, headers=headers) as answer:
            async for chunk in answer.aiter_raw():
                chunks.append((clock(), chunk))  # noqa: PERF401 - the stamp comes first
        if answer.status_code != httpx.codes.OK:
            error = f"HTTP {answer.status_code}: {b''.join(c for _, c in chunks)[:200]!r}"
    except httpx.HTTPError as failure:
        error = f"{type(failure).__name__}: {failure}"
    stamped = [(at - began, chunk) for at, chunk in chunks]
    return _Answer(draft=draft, sent_s=sent - began, chunks=stamped, error=error)


async def _open_connections(http: httpx.AsyncClient, number: int) -> None:
    """Open connections before they are timed."""

    async def touch() -> None:
        with contextlib.suppress(httpx.HTTPError):  # the requests will tell what is wrong
            await http.get("/v1/models")

    await asyncio.gather(*(touch() for _ in range(number)))


async def _probe_lag(lag: list[float]) -> None:
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(TICK_S)
        lag.append(time.perf_counter() - asked - TICK_S)


def _body(served_name: str, draft: Draft) -> bytes:
    """One body for both engines: ids instead of text, greedy, exact length, usage in the stream."""
    return json.dumps(
        {
            "model": served_name,
            "prompt": draft.prompt,
            "max_tokens": draft.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
    ).encode()


def _request(answer: _Answer) -> Request:
    draft, error = answer.draft, answer.error
    try:
        events, tokens, prompt_tokens = parse_events(answer.chunks)
    except ValueError as broken:
        events, tokens, prompt_tokens = (), (), 0
        error = error or f"unreadable stream: {broken}"
    if error is None and not events:
        error = "the stream ended without a token"
    return Request(
        index=draft.index,
        scheduled_s=draft.scheduled_s,
        sent_s=answer.sent_s,
        input_tokens=prompt_tokens or len(draft.prompt),
        output_tokens=tokens[-1] if tokens else 0,
        event_s=events,
        event_tokens=tokens,
        error=error,
    )


def parse_events(
    chunks: Sequence[tuple[float, bytes]],
) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    """(times, tokens so far, prompt tokens) of a server-sent-event stream.

    An event's time is that of the read which completed it. Tokens are counted by the usage the
    engine reports, so that several tokens merged into one event count as several; events that
    bring no token are dropped. Raises ValueError when a stream cannot be read.
    """
    times: list[float] = []
    totals: list[int] = []
    prompt_tokens, rest = 0, b""
    for at, chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[5:])
            if not isinstance(event, dict) or "error" in event:
                raise ValueError(str(event)[:200])
            usage = event.get("usage") or {}
            total = int(usage.get("completion_tokens") or 0)
            prompt_tokens = int(usage.get("prompt_tokens") or prompt_tokens)
            if total > (totals[-1] if totals else 0):
                times.append(at)
                totals.append(total)
    return tuple(times), tuple(totals), prompt_tokens
