"""The environment a process began with, as Linux's /proc tells it."""

import contextlib
import time
from pathlib import Path

from runners.keeper import stat_fields

LAID_OUT_WITHIN_S = 1.0
"""A program was seen to need up to 16 ms on a busy machine of two cores."""
ENV_END = 48
"""Where `stat_fields` tells the end of the environment."""


def variables(pid: int) -> list[bytes]:
    """NAME=VALUE each.

    A process that begins another program (execve) keeps its number, but shows no environment until
    the kernel has laid out the new one: that is waited for. Otherwise whoever looks for its own
    processes would overlook one. Raises OSError when the process is gone or somebody else's; one
    that only awaits burial has none, or is gone already: kernels differ.
    """
    file = Path(f"/proc/{pid}/environ")
    deadline = time.monotonic() + LAID_OUT_WITHIN_S
    while not (found := file.read_bytes()) and _is_beginning(pid) and time.monotonic() < deadline:
        time.sleep(0.001)
    found = found or file.read_bytes()  # it may have been laid out between the two looks
    return [one for one in found.split(b"\0") if one]


def _is_beginning(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):  # only a process with a program names its file
        Path(f"/proc/{pid}/exe").readlink()
        return stat_fields(pid)[ENV_END] == b"0"
    return False
