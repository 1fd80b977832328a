"""Being told to stop: SIGTERM becomes an exception, so that every `with` above it is left."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from runners.errors import Killed

AGAIN_S = 0.01


@contextlib.contextmanager
def terminated_as_exception() -> Iterator[None]:
    """Raise Killed on SIGTERM inside the body. Only the main thread can receive signals.

    A destructor cannot raise: Python reports what it raises to sys.unraisablehook and goes on.
    A signal that arrives inside of one is therefore sent again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_IGN)  # once is enough: let the clean-up finish
        raise Killed

    def lost(what: "sys.UnraisableHookArgs") -> None:
        if not issubclass(what.exc_type, Killed):
            report(what)
            return
        signal.signal(signal.SIGTERM, stop)
        again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()

    before, report = signal.signal(signal.SIGTERM, stop), sys.unraisablehook
    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = report
        signal.signal(signal.SIGTERM, before)
