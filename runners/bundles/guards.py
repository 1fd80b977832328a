"""An execution is alone in its spool and over in time."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runners.errors import BundleError

STOP_S = 8.0
"""Before the time is up: an engine that ignores TERM is gone in 5 s."""


@contextmanager
def ended_by(until: float | None) -> Iterator[None]:
    """SIGTERM to this process shortly before the time is up."""
    if until is None:
        yield
        return
    left_s = max(0.0, until - STOP_S - time.monotonic())
    timer = threading.Timer(left_s, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One execution a spool; raises BundleError while another one goes on."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise BundleError(f"{folder} cannot be used as spool: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BundleError(f"another execution goes on in {folder}: wait for it") from None
        yield
