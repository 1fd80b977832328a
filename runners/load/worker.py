"""One process of the load client: sends requests at their times, keeps every read with its stamp.

Between a read and its stamp nothing is parsed or allocated that a stream does not need. What was
read is parsed after the window. Jobs come pickled on standard input, results go pickled to standard
output; when standard input closes, the process ends.
"""

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from runners.load import clock, reads, wire
from runners.load.job import NUMBER_BYTES, Ask, Job, Row, Share
from runners.load.stream import Stream, connect

try:
    from runners.load._reads import Reads
except ImportError:  # not built here: the same in Python
    from runners.load.reads import Reads  # type: ignore[assignment]

AHEAD_S = 0.5
"""How long before its time a request's connection is opened: servers close idle ones after 5 s."""
SPIN_S = 0.002
"""epoll waits for whole milliseconds: the rest before a request is due is polled away."""
LONGEST_WAIT_S = 0.1
NAP_S = 0.001
"""Sleep between two looks at what came, while many streams run: to wake for each event costs more
than to read it, and the kernel's stamps stay true. Shorter than the time between two tokens."""
MANY = 8
"""Streams of one process. With fewer there is time to wake for each event."""
SILENT = "no byte came"


class Orphaned(Exception):
    """Whoever asked for the load is gone."""


class Loop:
    """All streams of one process in one window."""

    def __init__(self, job: Job, queue: int, parent: int) -> None:
        """`queue` is a pipe of request numbers that the processes share, four bytes each; `parent`
        becomes readable when whoever asked is gone. Opens the first connections."""
        self.job, self.queue, self.parent = job, queue, parent
        self.epoll, self.reads = select.epoll(), Reads()
        self.epoll.register(parent, select.EPOLLIN)
        self.streams: dict[int, Stream] = {}
        self.done: list[Stream] = []
        self.checked_s = 0.0
        self.waiting = sorted(job.asks, key=lambda ask: ask.scheduled_s, reverse=True)
        self.ready: deque[tuple[Ask, socket.socket | None]] = deque()
        self.idle: list[socket.socket | None] = []
        if job.in_flight is None:
            self._connect_ahead(0.0)
        else:
            self.idle = [self._connected() for _ in range(job.in_flight)]

    def run(self, begin_s: float) -> Share:
        """Send and read everything; `begin_s` is of CLOCK_MONOTONIC."""
        self.begin_s, self.offset_s, cpu_s = begin_s, clock.realtime_offset(), time.process_time()
        gc.collect()
        gc.disable()  # a collection would stop every stream at once
        try:
            if self.job.in_flight is None:
                self._open_loop()
            else:
                self._closed_loop()
            moved_s = clock.realtime_offset() - self.offset_s
            arrived = [stream.taken.arrived_s(self.offset_s) for stream in self.done]
            rows = tuple(map(self._row, self.done, arrived))
            late = [one.taken.late_s(own) for one, own in zip(self.done, arrived, strict=True)]
        finally:
            gc.enable()
            self.epoll.close()
        last = max((stream.heard_s for stream in self.done), default=begin_s)
        return Share(
            rows=rows,
            end_s=last - begin_s,
            lag_s=array("d", chain.from_iterable(late)),
            kernel_stamps=all(stream.taken.stamp_s is not None for stream in self.done),
            clock_moved_s=moved_s,
            cpu_s=time.process_time() - cpu_s,
        )

    def _open_loop(self) -> None:
        while self.waiting or self.ready or self.streams:
            self._connect_ahead(clock.now() - self.begin_s)
            while self.ready and self._wait_s(self.ready[0][0]) <= 0:
                self._send(*self.ready.popleft())
            wait_s = LONGEST_WAIT_S
            if self.ready:
                wait_s = self._wait_s(self.ready[0][0])
            elif self.waiting:
                wait_s = self._wait_s(self.waiting[-1]) - AHEAD_S
            self._read(wait_s)

    def _wait_s(self, ask: Ask) -> float:
        return self.begin_s + ask.scheduled_s - clock.now()

    def _connect_ahead(self, at_s: float) -> None:
        while self.waiting and self.waiting[-1].scheduled_s - at_s < AHEAD_S:
            self.ready.append((self.waiting.pop(), self._connected()))

    def _closed_loop(self) -> None:
        by_index = {ask.index: ask for ask in self.job.asks}
        time.sleep(max(0.0, self.begin_s - clock.now()))
        for connection in self.idle:
            self._next(by_index, connection)
        seen = 0
        while self.streams or seen < len(self.done):
            if seen == len(self.done):
                self._read(LONGEST_WAIT_S)
                continue
            stream, seen = self.done[seen], seen + 1
            if stream.error is None:
                self._next(by_index, stream.connection)
            elif not stream.error.startswith(SILENT):  # the rest would wait as long in vain
                self._next(by_index, None)

    def _next(self, by_index: dict[int, Ask], connection: socket.socket | None) -> None:
        """Send the next request of the shared queue on this connection, if there is one."""
        number = b""
        with contextlib.suppress(BlockingIOError):
            number = os.read(self.queue, NUMBER_BYTES)
        if number:
            self._send(by_index[int.from_bytes(number, "little")], connection)
        elif connection is not None:
            connection.close()

    def _connected(self) -> socket.socket | None:
        """None where it failed: the request will try again, and say why."""
        try:
            return connect(self.job.port, self.job.timeout_s)
        except OSError:
            return None

    def _send(self, ask: Ask, connection: socket.socket | None) -> None:
        try:
            connection = connection or connect(self.job.port, self.job.timeout_s)
        except OSError as error:
            stream = Stream(ask, socket.socket())
            stream.connection.close()
            stream.error = told(error)
            self.done.append(stream)
            return
        stream = Stream(ask, connection)
        self.streams[connection.fileno()] = stream
        self.reads.begin(connection)
        self.epoll.register(connection.fileno(), select.EPOLLIN)
        self._write(stream)

    def _write(self, stream: Stream) -> None:
        try:
            self.epoll.modify(stream.connection.fileno(), stream.write())
        except OSError as error:
            self._end(stream, told(error))

    def _read(self, wait_s: float) -> None:
        """Read what is there, or wait so long for it."""
        nap_s = NAP_S if len(self.streams) >= MANY else 0.0
        wait_s = 0.0 if wait_s < SPIN_S else min(wait_s - SPIN_S, LONGEST_WAIT_S)
        for number, happened, failed in self.reads.poll(self.epoll, wait_s, nap_s):
            if number == self.parent:
                raise Orphaned
            stream = self.streams[number]
            if happened & select.EPOLLOUT:
                self._write(stream)
            else:
                self._look(stream, failed)
        now = clock.now()
        if now - self.checked_s > LONGEST_WAIT_S:
            self._give_up(now)

    def _look(self, stream: Stream, failed: int) -> None:
        """At what a connection said, when it may be over."""
        number = stream.connection.fileno()
        if failed:
            self._end(stream, told(reads.failure(failed)))
            return
        try:
            complete = stream.is_complete(self.reads.raw(number))
        except ValueError as error:
            self._end(stream, told(error))
            return
        if complete:
            self._end(stream, None)
        elif stream.expected == wire.CHUNKED:
            self.reads.set_chunked(number)

    def _end(self, stream: Stream, error: str | None) -> None:
        number = stream.connection.fileno()
        del self.streams[number]
        self.epoll.unregister(number)
        stream.taken = reads.Taken(*self.reads.take(number))
        stream.error = error
        if error is not None or self.job.in_flight is None:
            stream.connection.close()
        self.done.append(stream)

    def _give_up(self, now: float) -> None:
        """End the streams that were silent for too long."""
        self.checked_s = now
        for number, stream in list(self.streams.items()):
            if now - max(stream.sent_s, self.reads.heard_s(number)) > self.job.timeout_s:
                self._end(stream, f"{SILENT} for {self.job.timeout_s:g} s")

    def _row(self, stream: Stream, arrived_s: Sequence[float]) -> Row:
        since_s = [at - self.begin_s for at in arrived_s]
        answer = wire.read(stream.taken.raw, stream.taken.ends, since_s)
        if stream.error is not None:
            answer = replace(answer, error=stream.error)
        sent_s = stream.sent_s - self.begin_s
        scheduled_s = sent_s if self.job.in_flight else stream.ask.scheduled_s
        return Row(index=stream.ask.index, scheduled_s=scheduled_s, sent_s=sent_s, answer=answer)


def told(error: OSError | ValueError) -> str:
    """ConnectionRefusedError: [Errno 111] Connection refused"""
    return f"{type(error).__name__}: {error}"


def main(queue: int) -> None:
    """Serve jobs until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked for the load decides
    jobs, results = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(EOFError, Orphaned, BrokenPipeError):
        while True:
            loop = Loop(pickle.load(jobs), queue, jobs.fileno())
            pickle.dump(None, results)
            results.flush()
            pickle.dump(loop.run(pickle.load(jobs)), results, pickle.HIGHEST_PROTOCOL)
            results.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
