"""The load client: several processes that share a window, and what they saw put together."""

import contextlib
import fcntl
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from runners.errors import ClientDied
from runners.load import clock, wire
from runners.load.job import NUMBER_BYTES, Ask, Job, Share
from runners.workload import Draft
from schema.arrivals import Arrival
from schema.cells import Workload
from schema.requests import Request

MARGIN_S = 0.02
"""From the last process being ready until the window begins."""
QUEUE_BYTES = 1 << 20
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one window of load showed."""

    requests: tuple[Request, ...]
    duration_s: float
    """First request scheduled until last byte read."""
    lag_s: tuple[Sequence[float], ...]
    """How late each read of each process was: after the kernel's stamp, or without one after the
    loop woke."""
    late_s: tuple[float, ...]
    """Open loop: sent minus scheduled, s."""
    merged: int = 0
    """Events that share their stamp with the one before."""
    kernel_stamps: bool = True
    """Whether every read had one; else the time of the read stands for it."""
    clock_moved_s: float = 0.0
    cpu_s: float = 0.0
    """Processor time of the load's processes, reading the answers after the window included."""


class Client:
    """Processes that wait for windows of load. They end with their standard input."""

    def __init__(self, port: int, processes: int) -> None:
        self.port = port
        self._queue, self._numbers = os.pipe()
        fcntl.fcntl(self._numbers, fcntl.F_SETPIPE_SZ, QUEUE_BYTES)
        os.set_blocking(self._queue, False)
        command = [sys.executable, "-m", "runners.load.worker", str(self._queue)]
        self._processes = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(self._queue,),
            )
            for _ in range(processes)
        ]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def close(self) -> None:
        os.close(self._numbers)
        os.close(self._queue)
        for process in self._processes:
            _pipe(process.stdin).close()
            _pipe(process.stdout).close()
        for process in self._processes:
            process.wait()

    def send(
        self, served_name: str, workload: Workload, drafts: Sequence[Draft], *, timeout_s: float
    ) -> Window:
        """Send all drafts as the workload's arrival says. A failed request is a row with its error.

        Raises ClientDied when a process of the load ends in the window.
        """
        host = f"127.0.0.1:{self.port}"
        asks = [
            Ask(
                index=draft.index,
                scheduled_s=draft.scheduled_s,
                content=wire.request(host, served_name, draft.prompt, draft.output_tokens),
            )
            for draft in drafts
        ]
        jobs = self._jobs(workload, asks, timeout_s)
        if workload.arrival is Arrival.CLOSED_LOOP:
            with contextlib.suppress(BlockingIOError):
                os.read(self._queue, QUEUE_BYTES)  # of a window that was given up
            numbers = b"".join(ask.index.to_bytes(NUMBER_BYTES, "little") for ask in asks)
            os.write(self._numbers, numbers)
        for job, process in zip(jobs, self._processes, strict=False):
            _put(process, job)
        used = self._processes[: len(jobs)]
        for process in used:
            take(process)  # its connections are open
        begin_s = clock.now() + MARGIN_S
        for process in used:
            _put(process, begin_s)
        return _window(workload, drafts, [take(process) for process in used])

    def _jobs(self, workload: Workload, asks: Sequence[Ask], timeout_s: float) -> list[Job]:
        """One for each process that has something to do."""
        count = len(self._processes)
        if workload.arrival is not Arrival.CLOSED_LOOP:
            shares = [tuple(asks[at::count]) for at in range(count)]
            return [
                Job(port=self.port, asks=own, in_flight=None, timeout_s=timeout_s)
                for own in shares
                if own
            ]
        streams = min(workload.in_flight, len(asks))
        widths = [len(range(at, streams, count)) for at in range(count)]
        return [
            Job(port=self.port, asks=tuple(asks), in_flight=width, timeout_s=timeout_s)
            for width in widths
            if width
        ]


@contextmanager
def client(port: int, processes: int) -> Iterator[Client]:
    """The load's processes inside the body; none is left after it."""
    ours = Client(port, processes)
    try:
        yield ours
    finally:
        ours.close()


def _window(workload: Workload, drafts: Sequence[Draft], shares: Sequence[Share]) -> Window:
    prompts = {draft.index: len(draft.prompt) for draft in drafts}
    rows = sorted((row for share in shares for row in share.rows), key=lambda row: row.index)
    requests = tuple(
        Request(
            index=row.index,
            scheduled_s=row.scheduled_s,
            sent_s=row.sent_s,
            input_tokens=row.answer.prompt_tokens or prompts[row.index],
            output_tokens=row.answer.event_tokens[-1] if row.answer.event_tokens else 0,
            event_s=row.answer.event_s,
            event_tokens=row.answer.event_tokens,
            error=row.answer.error,
        )
        for row in rows
    )
    opened = workload.arrival is Arrival.OPEN_LOOP
    return Window(
        requests=requests,
        duration_s=max(share.end_s for share in shares),
        lag_s=tuple(share.lag_s for share in shares),
        late_s=tuple(r.sent_s - r.scheduled_s for r in requests) if opened else (),
        merged=sum(row.answer.merged for row in rows),
        kernel_stamps=all(share.kernel_stamps for share in shares),
        clock_moved_s=max((share.clock_moved_s for share in shares), key=abs),
        cpu_s=sum(share.cpu_s for share in shares),
    )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _put(process: "subprocess.Popen[bytes]", what: object) -> None:
    try:
        pickle.dump(what, _pipe(process.stdin), pickle.HIGHEST_PROTOCOL)
        _pipe(process.stdin).flush()
    except BrokenPipeError as error:
        raise ClientDied(f"a process of the load ended with exit code {process.wait()}") from error


def take(process: "subprocess.Popen[bytes]") -> Any:
    """The process's next answer, whole. Raises ClientDied when it ends before or inside it."""
    try:
        return pickle.load(_pipe(process.stdout))
    except (EOFError, pickle.UnpicklingError) as error:
        raise ClientDied(f"a process of the load ended with exit code {process.wait()}") from error
