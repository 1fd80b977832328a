"""What a process of the load is asked, and what it answers."""

from array import array
from dataclasses import dataclass

from runners.load.wire import Answer

NUMBER_BYTES = 4
"""Of a request's number in the queue that the processes share."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request as bytes."""

    index: int
    scheduled_s: float
    """After the window's begin."""
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Job:
    """One window's share of one process."""

    port: int
    """Of the loopback interface."""
    asks: tuple[Ask, ...]
    """Open loop: this process's own. Closed loop: all, chosen by number from the queue."""
    in_flight: int | None
    """Closed loop: streams of this process. None: each request is sent at its time."""
    timeout_s: float
    """Longest silence of a stream."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request as it went; seconds after the window's begin."""

    index: int
    scheduled_s: float
    sent_s: float
    answer: Answer


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one process saw of a window."""

    rows: tuple[Row, ...]
    end_s: float
    """Last byte, after the window's begin."""
    lag_s: "array[float]"
    """How late each read was: after the kernel's stamp, or without one after the loop woke."""
    kernel_stamps: bool
    """Whether every read had one; else the time of the read stands for it."""
    clock_moved_s: float
    """By how much CLOCK_REALTIME was set or slewed against CLOCK_MONOTONIC meanwhile."""
    cpu_s: float
    """Processor time of the window, and of reading its answers afterwards."""
