"""One connection, the request on it, and what was read of the answer with its stamps."""

import select
import socket
from array import array
from collections.abc import Sequence
from itertools import accumulate

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
        *("ask", "connection", "error", "expected", "heard_s", "pieces", "read_s", "receive"),
        *("sent_s", "stamped", "unsent", "walked", "woke_s"),
    )

    def __init__(self, ask: Ask, connection: socket.socket) -> None:
        self.ask, self.connection, self.receive = ask, connection, connection.recvmsg
        self.pieces: list[bytes] = []
        """What each read took."""
        self.read_s, self.stamped = array("d"), list[bytes]()
        """When each read was, and the kernel's struct scm_timestamping of it."""
        self.woke_s = array("d")
        """When the loop woke for each read."""
        self.sent_s = self.heard_s = clock.now()
        self.unsent = memoryview(ask.content)
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

    def read(self, woke_s: float) -> bool:
        """Take what is there; whether the answer is complete.

        Raises ValueError for chunks that cannot be read: nothing after them can be. What the stamps
        say is worked out after the window.
        """
        content, ancillary, _, _ = self.receive(READ_BYTES, ANCILLARY_BYTES)
        self.heard_s = now = clock.now()
        if not content:
            raise ConnectionError("the connection closed before the answer's end")
        self.pieces.append(content)
        self.read_s.append(now)
        self.woke_s.append(woke_s)
        if ancillary:
            self.stamped.append(ancillary[0][2])
        if self.expected == wire.CHUNKED and len(content) >= len(wire.MAYBE_LAST):
            return content.endswith(wire.MAYBE_LAST) and self._is_complete()
        return self._is_complete()

    def _is_complete(self) -> bool:
        raw = b"".join(self.pieces)
        if self.expected is None:
            self.expected = wire.expected(raw)
        if self.expected != wire.CHUNKED:
            return self.expected is not None and len(raw) >= self.expected
        if self.walked is not None and raw.endswith(wire.MAYBE_LAST):
            self.walked = wire.walk(raw, self.walked)
        return self.walked is None

    def arrived_s(self, offset_s: float) -> list[float]:
        """When what each read took arrived: the kernel's stamp, or the read's own time where one
        of them has none. `offset_s` is CLOCK_REALTIME minus CLOCK_MONOTONIC."""
        if not self.is_stamped:
            return list(self.read_s)
        return [at - offset_s for at in clock.stamps(self.stamped)]

    def late_s(self, arrived_s: Sequence[float]) -> list[float]:
        """How late each read was, after its stamp or after the loop woke."""
        since = arrived_s if self.is_stamped else self.woke_s
        return [now - at for now, at in zip(self.read_s, since, strict=True)]

    @property
    def is_stamped(self) -> bool:
        """Whether the kernel gave a stamp with every read."""
        return len(self.stamped) == len(self.read_s)

    def answer(self, arrived_s: Sequence[float]) -> wire.Answer:
        """What was said, each event at the time of the read that completed it."""
        return wire.read(b"".join(self.pieces), list(accumulate(map(len, self.pieces))), arrived_s)
