"""Taking a device: one launch at a time, and nobody else on it."""

import contextlib
import fcntl
import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from runners import cards
from runners.errors import DeviceBusy
from runners.server import MARK
from schema.cells import Gpu
from schema.trials import Host

log = logging.getLogger(__name__)

WAIT_S = 8.0
"""A launch that was killed needs up to 5 s to clear the device."""


def devices(host: Host) -> tuple[str, ...]:
    """What a launch on this host takes: card UUIDs, or the processor as a whole."""
    return tuple(card.uuid for card in host.cards) or ("cpu",)


@contextlib.contextmanager
def taken(host: Host, label: str) -> Iterator[tuple[int, ...]]:
    """Hold every device of the host; yields the lock descriptors for the engine's keeper.

    The lock lives as long as any process that holds a descriptor: even when this process is killed
    it is released only after the engine is gone. Leftovers of a keeper that was itself killed are
    ended here. Raises DeviceBusy when another launch or a foreign process has the device.
    """
    with contextlib.ExitStack() as stack:
        locks = tuple(stack.enter_context(_lock(name, label)) for name in devices(host))
        sweep(devices(host))
        _refuse_strangers(host)
        yield locks


def lock_path(device: str) -> Path:
    """One file per device for all users of this host."""
    return Path(tempfile.gettempdir()) / f"tailwatch-{device}.lock"


@contextlib.contextmanager
def _lock(device: str, label: str) -> Iterator[int]:
    before = os.umask(0)
    try:
        descriptor = os.open(lock_path(device), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    finally:
        os.umask(before)
    try:
        _wait_for(descriptor, device)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}: {label}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, device: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace")
                raise DeviceBusy(
                    f"device {device} is taken by {holder or 'another launch'}; "
                    "wait for it, or end it"
                ) from None
            time.sleep(0.1)
        else:
            return


def leftovers(names: tuple[str, ...]) -> list[int]:
    """Engine processes on these devices, found by the variable that every one carries."""
    marks = {f"{MARK}={name}".encode() for name in names}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if marks & set((entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
    return found


def sweep(names: tuple[str, ...]) -> None:
    """End engine processes that nobody owns any more: the lock is ours, so they are leftovers."""
    deadline = time.monotonic() + WAIT_S
    while pids := leftovers(names):
        log.warning("ending engine processes left by a dead launch: %s", pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise DeviceBusy(f"processes {pids} of an earlier launch cannot be ended")
        time.sleep(0.2)


def _refuse_strangers(host: Host) -> None:
    if host.gpu is Gpu.CPU:
        return
    strangers = {uuid: pids for uuid, pids in cards.processes(devices(host)).items() if pids}
    if strangers:
        seen = "; ".join(f"{uuid}: processes {pids}" for uuid, pids in strangers.items())
        raise DeviceBusy(f"a GPU is in use by others ({seen}); end them, or take another card")


def wait_until_empty(host: Host, within_s: float = 30.0) -> None:
    """Return when NVML shows no process on the cards: the next launch starts on empty memory."""
    deadline = time.monotonic() + within_s
    while any(cards.processes(devices(host)).values()) if host.cards else False:
        if time.monotonic() > deadline:
            raise DeviceBusy("the engine ended but NVML still shows a process on its card")
        time.sleep(0.2)
