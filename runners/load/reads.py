"""What the connections of one process said, and when the kernel had it.

`_reads.c` is the same class compiled, for hosts where it could be built: an event costs it half the
processor time, because no object of Python is touched for it. Between a read and its stamp nothing
is parsed.
"""

import os
import select
import socket
import time
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from runners.load import clock
from runners.load.wire import MAYBE_LAST

READ_BYTES = 16_384
CLOSED = -1
"""Instead of an errno: the other side closed the connection."""


class Taken(NamedTuple):
    """All reads of one connection, in their order."""

    raw: bytes
    ends: Sequence[int]
    """Bytes of `raw` after each read."""
    stamp_s: Sequence[float] | None
    """The kernel's stamp of each, of CLOCK_REALTIME; None where one has none."""
    read_s: Sequence[float]
    """When each was; these two are of CLOCK_MONOTONIC."""
    woke_s: Sequence[float]
    """When the loop woke for it."""

    def arrived_s(self, offset_s: float) -> Sequence[float]:
        """When what each read took arrived: its stamp, or its own time where there are none.

        `offset_s` is CLOCK_REALTIME minus CLOCK_MONOTONIC.
        """
        if self.stamp_s is None:
            return self.read_s
        return [at - offset_s for at in self.stamp_s]

    def late_s(self, arrived_s: Sequence[float]) -> list[float]:
        """How late each read was, after its stamp or else after the loop woke."""
        since = self.woke_s if self.stamp_s is None else arrived_s
        return [now - at for now, at in zip(self.read_s, since, strict=True)]


def failure(failed: int) -> OSError:
    """What `Reads.poll` told of a connection."""
    if failed == CLOSED:
        return ConnectionError("the connection closed before the answer's end")
    return OSError(failed, os.strerror(failed))


class _Record:
    __slots__ = ("connection", "is_chunked", "pieces", "read_s", "stamped", "woke_s")

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.is_chunked = connection, False
        self.pieces, self.stamped = list[bytes](), list[bytes]()
        self.read_s, self.woke_s = array("d"), array("d")


class Reads:
    """The connections that are being read, by the numbers of their files."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._all_stamped = True

    def begin(self, connection: socket.socket) -> None:
        """Read this connection from now on; what it said before is forgotten."""
        self._records[connection.fileno()] = _Record(connection)

    def set_chunked(self, number: int) -> None:
        """Its head has come: from now on only what may be the answer's end is told."""
        self._records[number].is_chunked = True

    def poll(self, epoll: select.epoll, wait_s: float, nap_s: float) -> list[tuple[int, int, int]]:
        """Read all that comes, until something needs a look or `wait_s` is over.

        Returns (file number, epoll events, 0, an errno or CLOSED) of what needs one: that failed,
        that can be written, that is not read here, whose head has not come, or whose last bytes may
        end the answer. `nap_s`: sleep between two looks; only while the kernel gives stamps.
        """
        until_s = clock.now() + wait_s
        told: list[tuple[int, int, int]] = []
        while not told:
            left_s = until_s - clock.now()
            if nap_s and self._all_stamped and left_s > nap_s:
                time.sleep(nap_s)
                left_s -= nap_s
            told = self._look_once(epoll, max(0.0, left_s))
            if clock.now() >= until_s:
                break
        return told

    def _look_once(self, epoll: select.epoll, wait_s: float) -> list[tuple[int, int, int]]:
        happenings = epoll.poll(wait_s)
        woke_s = clock.now()
        told = []
        for number, happened in happenings:
            record = self._records.get(number)
            if record is None or happened & select.EPOLLOUT:
                told.append((number, happened, 0))
            elif (failed := self._read(record, woke_s)) is not None:
                told.append((number, happened, failed))
        return told

    def _read(self, record: _Record, woke_s: float) -> int | None:
        """As `poll` tells it; None for what needs no look."""
        try:
            content, ancillary, _, _ = record.connection.recvmsg(READ_BYTES, clock.ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            return error.errno
        if not content:
            return CLOSED
        record.read_s.append(clock.now())
        record.woke_s.append(woke_s)
        record.pieces.append(content)
        if ancillary:
            record.stamped.append(ancillary[0][2])
        else:
            self._all_stamped = False
        whole = len(content) >= len(MAYBE_LAST) and not content.endswith(MAYBE_LAST)
        return None if record.is_chunked and whole else 0

    def raw(self, number: int) -> bytes:
        """All that the connection said."""
        return b"".join(self._records[number].pieces)

    def heard_s(self, number: int) -> float:
        """When it was read last, of CLOCK_MONOTONIC; 0 if never."""
        read_s = self._records[number].read_s
        return read_s[-1] if read_s else 0.0

    def take(
        self, number: int
    ) -> tuple[bytes, list[int], list[float] | None, list[float], list[float]]:
        """The fields of Taken; the connection is not read any more."""
        record = self._records.pop(number)
        ends = list(accumulate(map(len, record.pieces)))
        all_stamped = len(record.stamped) == len(ends)
        stamp_s = clock.stamps(record.stamped) if all_stamped else None
        return b"".join(record.pieces), ends, stamp_s, list(record.read_s), list(record.woke_s)
