"""The environment a process began with, as Linux's /proc tells it."""

import contextlib
import time
from pathlib import Path

LAID_OUT_WITHIN_S = 1.0
"""A program was seen to need up to 16 ms on a busy machine of two cores."""
ENV_END = 48
"""Where /proc/PID/stat tells the end of the environment, counted from the state (proc(5))."""


def variables(pid: int) -> list[bytes]:
    """NAME=VALUE each.

    A process that begins another program (execve) keeps its number, but shows no environment until
    the kernel has laid out the new one: that is waited for. Otherwise whoever looks for its own
    processes would overlook one. Raises OSError when the process is gone or somebody else's; one
    that only awaits burial has none, or is gone already: kernels differ.
    """
    place = Path(f"/proc/{pid}")
    deadline = time.monotonic() + LAID_OUT_WITHIN_S
    found = (place / "environ").read_bytes()
    while not found and time.monotonic() < deadline:
        settled = not _is_beginning(place)
        found = (place / "environ").read_bytes()  # it may have been laid out since it was empty
        if settled:
            break
        time.sleep(0.001)
    return [one for one in found.split(b"\0") if one]


def _is_beginning(place: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # only a process with a program names its file
        (place / "exe").readlink()
        return (place / "stat").read_bytes().rpartition(b")")[2].split()[ENV_END] == b"0"
    return False
