"""Who runs on which core of a CPU host.

A CPU engine spins on the cores its compute threads are bound to. A client that the kernel puts on
one of them waits for whole time slices: seen on 2 cores, half a second of lag and a TTFT of 240 ms
where 20 ms were true. So the last core belongs to the client and to the engine's front end.
"""

import contextlib
import os
from collections.abc import Iterator

from schema.cells import Gpu

MOST_PROCESSES = 4


def split(cores: set[int]) -> tuple[list[int], set[int]]:
    """(cores for the engine's compute threads, cores for the client)."""
    *compute, last = sorted(cores)
    return (compute, {last}) if compute else ([last], {last})


@contextlib.contextmanager
def client_core(gpu: Gpu) -> Iterator[set[int]]:
    """Keep this thread off the engine's cores inside the body. GPU hosts have cores to spare."""
    before = os.sched_getaffinity(0)
    ours = split(before)[1] if gpu is Gpu.CPU else before - {for_telemetry(before)} or before
    os.sched_setaffinity(0, ours)
    try:
        yield ours
    finally:
        os.sched_setaffinity(0, before)


def for_telemetry(cores: set[int]) -> int:
    """The core of the process that reads the machine, never one that an engine's compute threads
    are bound to: a GPU host gives its last, which the client leaves; a CPU host the client's."""
    return max(cores)


def client_processes(gpu: Gpu) -> int:
    """Over how many the load is spread: one on a CPU host, whose cores are the engine's."""
    return 1 if gpu is Gpu.CPU else max(1, min(MOST_PROCESSES, len(os.sched_getaffinity(0)) // 4))
