"""Processes by number and start time, as Linux's /proc tells them.

A number alone is not an identity: it is given to another process sooner or later. The start time
is counted in clock ticks since boot, so that setting the clock does not change it.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runners import environ
from runners.keeper import stat_fields
from schema.words import Word

PROC = Path("/proc")
BOOT = PROC / "sys/kernel/random/boot_id"
POLL_S = 0.1


class Process(Word):
    """One process, told apart from any later one with the same number."""

    pid: int
    started: str
    """Boot and clock ticks since it."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    process: Process
    parent: int
    session: int


def find(pid: int) -> Process | None:
    """The process that has the number now; None when there is none or it only awaits burial."""
    entry = _read(pid)
    return entry.process if entry else None


def is_alive(process: Process) -> bool:
    return find(process.pid) == process


def working_directory(process: Process) -> Path | None:
    """None when the process is gone or belongs to somebody else."""
    with suppress(OSError):
        return (PROC / str(process.pid) / "cwd").readlink()
    return None


def working_in(folder: Path) -> list[Process]:
    """Every process whose working directory is the folder."""
    return [entry.process for entry in _everyone() if working_directory(entry.process) == folder]


def in_sessions(leaders: Iterable[Process]) -> list[Process]:
    """Every process of the sessions that the leaders began.

    A session outlives its leader, and its number is not given away before its last member ends.
    """
    sessions = {leader.pid for leader in leaders if not _is_somebody_else(leader)}
    return [entry.process for entry in _others() if entry.session in sessions]


def belonging_to(leaders: Iterable[Process], marker: str) -> list[Process]:
    """The leaders' sessions, whoever carries the marker, and the descendants of all these.

    `marker` is NAME=VALUE in the environment a process began with. Engines begin sessions of their
    own, and a program that renames itself loses its environment: neither sign is enough alone.
    """
    others = _others()
    chosen = {process.pid for process in in_sessions(leaders)}
    chosen |= {entry.process.pid for entry in others if _carries(entry.process, marker)}
    while more := {entry.process.pid for entry in others if entry.parent in chosen} - chosen:
        chosen |= more
    return [entry.process for entry in others if entry.process.pid in chosen]


def end(
    everything: Iterable[Process], *, asked: Iterable[Process], within_s: float
) -> list[Process]:
    """TERM those `asked`, wait for everything, KILL what is left; returns what had to be killed.

    An engine is not asked: its task ends it in its own way, and would call a sudden end a failure.
    """
    everything = list(everything)
    send(asked, signal.SIGTERM)
    stubborn = wait(everything, within_s=within_s)
    send(stubborn, signal.SIGKILL)
    wait(stubborn, within_s=within_s)
    return stubborn


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Signal those that still are who they were."""
    for process in processes:
        if is_alive(process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)


def wait(processes: Iterable[Process], *, within_s: float) -> list[Process]:
    """Wait until all have ended, at most `within_s`; returns those that have not."""
    deadline = time.monotonic() + within_s
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = [process for process in left if is_alive(process)]
    return left


def _is_somebody_else(leader: Process) -> bool:
    now = find(leader.pid)
    return now is not None and now != leader


def _carries(process: Process, marker: str) -> bool:
    with suppress(OSError):
        return marker.encode() in environ.variables(process.pid)
    return False


def _others() -> list[_Entry]:
    return [entry for entry in _everyone() if entry.process.pid != os.getpid()]


def _everyone() -> list[_Entry]:
    numbers = (int(path.name) for path in PROC.iterdir() if path.name.isdigit())
    return [entry for number in numbers if (entry := _read(number))]


def _read(pid: int) -> _Entry | None:
    try:
        fields = stat_fields(pid)
        boot = BOOT.read_text().strip()
    except OSError:
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    process = Process(pid=pid, started=f"{boot}/{fields[19].decode()}")
    return _Entry(process=process, parent=int(fields[1]), session=int(fields[3]))
