"""Taking a device: one launch at a time, and nobody else on it."""

import contextlib
import fcntl
import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runners import cards, environ, keeper
from runners.errors import DeviceBusy
from runners.server import MARK
from schema.cells import Gpu
from schema.hosts import Host

log = logging.getLogger(__name__)

CLEAR_WITHIN_S = 8.0
"""A launch that was killed needs up to 5 s to clear the device."""
KEEPER = keeper.__file__.encode()
CPU_PLACES = 2
"""Engines that a CPU host may hold: one is measured alone while the others are idle. Starting an
engine is single-threaded work, so two start in little more time than one (see runners/quiet.py)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a launch holds."""

    name: str
    """Of all its devices, with commas between them. Carried by every engine process as a variable:
    how leftovers are found, whichever of the devices is taken next."""
    locks: tuple[int, ...]
    """Descriptors for the engine's keeper: the place is free when the last of them is closed."""


def devices(host: Host) -> tuple[str, ...]:
    """Card UUIDs of the host; none on a CPU host."""
    return tuple(card.uuid for card in host.cards)


@contextlib.contextmanager
def taken(host: Host, label: str, within_s: float = CLEAR_WITHIN_S) -> Iterator[Place]:
    """Hold every card of the host, or one place of a CPU host; wait so long for who has it now.

    The lock lives as long as any process that holds a descriptor: even when this process is killed
    it is released only after the engine is gone. Leftovers of a keeper that was itself killed are
    ended here. Raises DeviceBusy when another launch or a foreign process has the device.
    """
    with contextlib.ExitStack() as stack:
        if host.cards:
            names = tuple(sorted(devices(host)))  # one order: two launches cannot wait crosswise
            locks = tuple(stack.enter_context(_lock((name,), label, within_s))[1] for name in names)
        else:
            places = tuple(f"cpu-{number}" for number in range(CPU_PLACES))
            name, lock = stack.enter_context(_lock(places, label, within_s))
            names, locks = (name,), (lock,)
        sweep(names)
        _refuse_strangers(host)
        yield Place(name=",".join(names), locks=locks)


def lock_path(name: str) -> Path:
    """One file per device or place for all users of this host."""
    return Path(tempfile.gettempdir()) / f"tailwatch-{name}.lock"


def open_lock(name: str) -> int:
    """A descriptor of the lock file, which every user of the host may open."""
    path, flags = lock_path(name), os.O_RDWR | os.O_CLOEXEC
    # Linux refuses O_CREAT on another user's file in /tmp (fs.protected_regular)
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    before = os.umask(0)
    try:
        return os.open(path, flags | os.O_CREAT, 0o666)
    finally:
        os.umask(before)


@contextlib.contextmanager
def _lock(names: tuple[str, ...], label: str, within_s: float) -> Iterator[tuple[str, int]]:
    """The first of these that is free, and its descriptor."""
    descriptors = {name: open_lock(name) for name in names}
    try:
        name = _first_free(descriptors, within_s)
        os.ftruncate(descriptors[name], 0)
        os.pwrite(descriptors[name], f"process {os.getpid()}: {label}".encode(), 0)
        yield name, descriptors[name]
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _first_free(descriptors: dict[str, int], within_s: float) -> str:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for name, descriptor in descriptors.items():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return name
        time.sleep(0.1)
    held = [os.pread(one, 200, 0).decode(errors="replace") for one in descriptors.values()]
    raise DeviceBusy(
        f"{' and '.join(descriptors)} taken by {'; '.join(filter(None, held)) or 'another launch'}:"
        " wait for it, or end it"
    )


def leftovers(names: tuple[str, ...]) -> list[int]:
    """Engine processes on any of these devices, found by the variable that every one carries."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if set(names) & _marked(int(entry.name)):
                    found.append(int(entry.name))
    return found


def _marked(pid: int) -> set[str]:
    """The devices that a process was started for; none of another program."""
    start = f"{MARK}=".encode()
    marks = [
        one.removeprefix(start).decode(errors="replace")
        for one in environ.variables(pid)
        if one.startswith(start)
    ]
    return {name for mark in marks for name in mark.split(",")}


def sweep(names: tuple[str, ...]) -> None:
    """End engine processes that nobody owns any more: the lock is ours, so they are leftovers.

    Unless their keeper lives, which holds its lock all its life: then it is another lock.
    """
    deadline = time.monotonic() + CLEAR_WITHIN_S
    while pids := leftovers(names):
        _refuse_kept(pids)
        log.warning("ending engine processes left by a dead launch: %s", pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise DeviceBusy(f"processes {pids} of an earlier launch cannot be ended")
        time.sleep(0.2)


def _refuse_kept(pids: list[int]) -> None:
    kept = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if KEEPER in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                kept.append(pid)
    if kept:
        raise DeviceBusy(
            f"processes {kept} keep the engine of a launch that locked in another folder than "
            f"{tempfile.gettempdir()}: give all launches of this host one TMPDIR"
        )


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
