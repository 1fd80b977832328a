"""One tool at one point: the reference server on one core, the tool on another, and a result."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidelity import truth
from fidelity.points import Point
from fidelity.tools import ours
from fidelity.tools.tool import Call, Tool

SERVER = Path(__file__).parents[1] / "reference_server.py"
LIMIT_S = 1e-3
"""An error of the 99th percentile above this is not a measurement any more."""
LOST_SHARE = 0.01
"""Requests that a tool may lose."""
LEAST_RATE = 0.9
"""Of the point's rate: below it the tool opened its streams one after the other."""
LONGEST_S = 240.0
"""A tool that has not ended by then does not keep up."""
STARTED_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where everything is that a measurement needs."""

    tokenizer: Path
    work: Path
    """Emptied for each measurement."""
    server_core: int
    tool_core: int


def measure(tool: Tool, place: Path, point: Point, bench: Bench) -> dict[str, Any]:
    """Errors in s, or `failure` when the tool did not serve the point."""
    shutil.rmtree(bench.work, ignore_errors=True)
    bench.work.mkdir(parents=True)
    began_s = time.monotonic()
    with server(point, bench.server_core) as port:
        call = Call(
            place=place, port=port, point=point, tokenizer=bench.tokenizer, folder=bench.work
        )
        failure = run(tool, call, bench.tool_core)
        happened = page(port, "/truth")
    result = judged(tool, call, happened, failure)
    return result | {"took_s": round(time.monotonic() - began_s, 1)}


def judged(
    tool: Tool, call: Call, happened: Mapping[str, Any], failure: str | None
) -> dict[str, Any]:
    """What the tool told against what happened."""
    streams = truth.load(happened, call.point.streams, call.point.tokens)
    if failure is None and not streams:
        failure = "no request had the length that was asked"
    if failure is not None:
        return {"failure": failure, "sustained": False}
    try:
        errors = truth.errors(tool.read(call.folder), streams)
    except (OSError, LookupError, ValueError, TypeError) as error:
        return {"failure": f"its result: {type(error).__name__}: {error}", "sustained": False}
    missing = call.point.streams - len(streams) + errors.lost
    if missing > LOST_SHARE * call.point.streams:
        failure = f"{missing} of {call.point.streams} requests lost or with other token counts"
    rate = truth.rate(streams)
    if failure is None and rate < LEAST_RATE * call.point.events_per_s:
        failure = f"the load came to {rate:,.0f} of {call.point.events_per_s:,.0f} events/s"
    cpu_s = ours.cpu_s(call.folder) if tool is ours.OURS else happened["cpu_s"]
    events = sum(len(stream["left_s"]) for stream in streams)
    return _figures(errors, failure) | {
        "events_per_s": rate,
        "cpu_per_event_s": None if cpu_s is None else cpu_s / events,
        "server": _server(happened, streams),
    }


def _figures(errors: truth.Errors, failure: str | None) -> dict[str, Any]:
    found = {
        "itl_s": truth.of(errors.itl_s),
        "mean_itl_s": truth.of(errors.mean_itl_s),
        "ttft_s": truth.of(errors.ttft_s),
    }
    worst = found["itl_s"] or found["mean_itl_s"]
    held = failure is None and worst is not None and worst["p99"] <= LIMIT_S
    return found | {"failure": failure, "sustained": held}


def _server(happened: Mapping[str, Any], streams: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the reference server itself did."""
    return {
        "late_s": truth.of(sorted(happened["late_s"])),
        "step_s": truth.of(sorted(happened["step_s"])),
        "doubt_s": truth.of(sorted(took for one in streams for took in one["took_s"])),
    }


def run(tool: Tool, call: Call, core: int) -> str | None:
    """The tool to its end; why it failed, or None. Leaves none of its processes."""
    log = call.folder / "log.txt"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    command = tool.command(call)
    with log.open("w") as said:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            cwd=call.folder,
            env=environment | dict(tool.environment),
            start_new_session=True,
        )
        try:
            page(call.port, f"/watch/{process.pid}")
            code = process.wait(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            return f"did not end within {LONGEST_S:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code == 0:
        return None
    last = "; ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    return f"exit code {code}: {last[-300:]}"


@contextmanager
def server(point: Point, core: int) -> Iterator[int]:
    """The reference server's port, while it runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    options = ["--port", str(port), "--itl-ms", str(point.itl_ms), "--core", str(core)]
    process = subprocess.Popen([sys.executable, str(SERVER), *options])
    try:
        deadline_s = time.monotonic() + STARTED_S
        while True:
            try:
                page(port, "/health")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def page(port: int, path: str) -> Any:
    """What the reference server says there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return json.load(answer)
