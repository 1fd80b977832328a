"""Being told to stop: SIGTERM becomes an exception, so that every `with` above it is left."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from runners.errors import Killed


@contextlib.contextmanager
def terminated_as_exception() -> Iterator[None]:
    """Raise Killed on SIGTERM inside the body. Only the main thread can receive signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_IGN)  # once is enough: let the clean-up finish
        raise Killed

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
