"""Being told to stop: SIGTERM becomes an exception, so that every `with` above it is left."""

import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

from runners.errors import Killed

AGAIN_S = 0.01
Result = TypeVar("Result")


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


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run, but SIGTERM cancels `main`, as Ctrl-C does, and then raises Killed.

    An exception raised by a signal handler in the middle of a loop would end up in any task.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(main)
    told = False
    cancel: Callable[[], object] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        del number, frame
        told = True
        if cancel is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                cancel()

    async def cancelled_when_told() -> Result:
        nonlocal cancel
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel = functools.partial(loop.call_soon_threadsafe, task.cancel)
        if told:
            raise asyncio.CancelledError
        return await main

    before = signal.signal(signal.SIGTERM, stop)
    try:
        return asyncio.run(cancelled_when_told())
    finally:
        signal.signal(signal.SIGTERM, before)
        if told:
            signal.raise_signal(signal.SIGTERM)
