"""When the kernel received what a read returns.

With SO_TIMESTAMPING the kernel stamps each segment as it arrives, and recvmsg(2) hands the stamp of
the last one over with the bytes: however late this process reads, the time is true. See
Documentation/networking/timestamping.rst. Stamps are of CLOCK_REALTIME; everything else here is of
CLOCK_MONOTONIC, which nobody sets.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Iterable

SO_TIMESTAMPING = 37  # asm-generic/socket.h; SCM_TIMESTAMPING has the same number
RX_SOFTWARE, REPORT_SOFTWARE = 1 << 3, 1 << 4
ANCILLARY_BYTES = socket.CMSG_SPACE(3 * 16)
"""struct scm_timestamping: three timespecs, of which the first is the software stamp."""
_software = struct.Struct("qq32x").iter_unpack


def ask_for_stamps(connection: socket.socket) -> None:
    """Stamps come with later reads where the kernel and its network device give them."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | REPORT_SOFTWARE)


def stamps(ancillary: Iterable[bytes]) -> list[float]:
    """Seconds of CLOCK_REALTIME in each struct scm_timestamping."""
    return [seconds + part * 1e-9 for seconds, part in _software(b"".join(ancillary))]


now = time.monotonic
"""Seconds of CLOCK_MONOTONIC, the same in every process of the host. Not wrapped: it is called for
every read."""


def realtime_offset() -> float:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC, s: the tightest of a few readings."""
    found = []
    for _ in range(9):
        before, real, after = now(), time.clock_gettime(time.CLOCK_REALTIME), now()
        found.append((after - before, real - (before + after) / 2))
    return min(found)[1]
