"""One connection, the request on it, and what was read of the answer with its stamps."""

import select
import socket
from array import array

from runners.load import clock, wire
from runners.load.job import Ask

READ_BYTES = 16_384
ANCILLARY_BYTES = clock.ANCILLARY_BYTES


def connect(port: int, timeout_s: float) -> socket.socket:
    """Opened before anything is timed; stamps come with its reads where the kernel gives them."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    clock.ask_for_stamps(connection)
    connection.setblocking(False)
    return connection


class Stream:
    """Raises OSError, from write and read, when the connection does not hold."""

    __slots__ = (
        *("ask", "connection", "ends", "error", "expected", "heard_s", "raw", "receive", "sent_s"),
        *("stamps", "unsent", "unstamped", "walked"),
    )

    def __init__(self, ask: Ask, connection: socket.socket) -> None:
        self.ask, self.connection, self.receive = ask, connection, connection.recvmsg
        self.raw, self.ends, self.stamps = bytearray(), array("Q"), array("d")
        self.sent_s = self.heard_s = clock.now()
        self.unsent = memoryview(ask.content)
        self.unstamped = 0
        """Reads for which the kernel gave no stamp."""
        self.expected: int | None = None
        """Bytes of the answer; wire.CHUNKED where only its end tells; None until its head came."""
        self.walked: int | None = 0
        """Where the first chunk begins that was not whole yet; None after the last one."""
        self.error: str | None = None

    def write(self) -> int:
        """Send what the kernel takes; returns the epoll events to wait for."""
        try:
            self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            return select.EPOLLIN | select.EPOLLOUT
        return select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0)

    def read(self, offset_s: float, woke_s: float) -> float:
        """Take what is there; returns how late that was, s.

        `offset_s` is CLOCK_REALTIME minus CLOCK_MONOTONIC; `woke_s` stands for the kernel's stamp
        where there is none when lateness is told.
        """
        content, ancillary, _, _ = self.receive(READ_BYTES, ANCILLARY_BYTES)
        now = clock.now()
        if not content:
            raise ConnectionError("the connection closed before the answer's end")
        stamped = clock.stamp(ancillary)
        if stamped is None:
            self.unstamped += 1
            at, late = now, now - woke_s
        else:
            at = stamped - offset_s
            late = now - at
        self.heard_s = now
        self.raw += content
        self.ends.append(len(self.raw))
        self.stamps.append(at)
        return late

    def is_complete(self) -> bool:
        """Raises ValueError for chunks that cannot be read: nothing after them can be."""
        if self.expected is None:
            self.expected = wire.expected(self.raw)
        if self.expected != wire.CHUNKED:
            return self.expected is not None and len(self.raw) >= self.expected
        if self.walked is not None and self.raw.endswith(wire.MAYBE_LAST):
            self.walked = wire.walk(self.raw, self.walked)
        return self.walked is None

    def answer(self, begin_s: float) -> wire.Answer:
        """What was said, in seconds after `begin_s`."""
        stamps = array("d", (at - begin_s for at in self.stamps))
        return wire.read(bytes(self.raw), self.ends, stamps)
