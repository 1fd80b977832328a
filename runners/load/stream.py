"""One connection, the request on it, and how far its answer has come."""

import select
import socket

from runners.load import clock, wire
from runners.load.job import Ask
from runners.load.reads import Taken


def connect(port: int, timeout_s: float) -> socket.socket:
    """Opened before anything is timed; stamps come with its reads where the kernel gives them."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    clock.ask_for_stamps(connection)
    connection.setblocking(False)
    return connection


class Stream:
    """A request, from when it is sent."""

    __slots__ = ("ask", "connection", "error", "expected", "sent_s", "taken", "unsent", "walked")

    def __init__(self, ask: Ask, connection: socket.socket) -> None:
        self.ask, self.connection = ask, connection
        self.sent_s = clock.now()
        self.unsent = memoryview(ask.content)
        self.expected: int | None = None
        """Bytes of the answer; wire.CHUNKED where only its end tells; None until its head came."""
        self.walked: int | None = 0
        """Where the first chunk begins that was not whole yet; None after the last one."""
        self.taken = Taken(b"", (), (), (), ())
        """What was read, once it is over."""
        self.error: str | None = None

    def write(self) -> int:
        """Send what the kernel takes; returns the epoll events to wait for.

        Raises OSError when the connection does not hold.
        """
        try:
            self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            return select.EPOLLIN | select.EPOLLOUT
        return select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0)

    @property
    def heard_s(self) -> float:
        """When its connection was read last before it was over, or else when it was sent."""
        return max([self.sent_s, *self.taken.read_s[-1:]])

    def is_complete(self, raw: bytes) -> bool:
        """With `raw` being all that was said.

        Raises ValueError for chunks that cannot be read: nothing after them can be.
        """
        if self.expected is None:
            self.expected = wire.expected(raw)
        if self.expected != wire.CHUNKED:
            return self.expected is not None and len(raw) >= self.expected
        if self.walked is not None and raw.endswith(wire.MAYBE_LAST):
            self.walked = wire.walk(raw, self.walked)
        return self.walked is None
