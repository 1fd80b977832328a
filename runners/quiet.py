"""Quiet on a CPU host: engines may start side by side, but each is measured alone.

Two lock files of the host: the room is shared by whoever starts an engine and exclusive to whoever
measures; the door makes them take turns, so that a launch that waits to measure is not overtaken
by ever new starts. Both are flocks: a process that dies gives them back.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from runners.device import open_lock
from schema.cells import Gpu

DOOR, ROOM = "cpu-door", "cpu-room"


@contextlib.contextmanager
def starting(gpu: Gpu) -> Iterator[None]:
    """Others may start as well inside the body; nobody measures. GPU hosts need no turns."""
    with _entered(fcntl.LOCK_SH) if gpu is Gpu.CPU else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def measuring(gpu: Gpu) -> Iterator[None]:
    """Nobody starts, stops or measures another engine on this CPU host inside the body."""
    with _entered(fcntl.LOCK_EX) if gpu is Gpu.CPU else contextlib.nullcontext():
        yield


def let_measure(gpu: Gpu) -> None:
    """Return when nobody measures or is about to: what follows a launch is work for the cores."""
    with starting(gpu):
        pass


@contextlib.contextmanager
def _entered(how: int) -> Iterator[None]:
    room = open_lock(ROOM)
    try:
        door = open_lock(DOOR)
        try:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, how)
        finally:
            os.close(door)
        yield
    finally:
        os.close(room)
