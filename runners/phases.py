"""How long each step of a launch took."""

import contextlib
import time
from collections.abc import Iterator

LOAD = ("wait", "start", "warm_up", "measure", "observe")
"""Steps that are not overhead: another launch's turn, the engine's start and the load itself."""


class Phases:
    """Accumulates wall time by step, s."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: tuple[str, float] | None = None

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def begin(self, name: str) -> None:
        """Start a step; an open one ends."""
        self.end()
        self._open = (name, time.monotonic())

    def end(self) -> None:
        """End the open step, if there is one."""
        if self._open is not None:
            name, began = self._open
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            self._open = None

    def overhead_s(self, total_s: float) -> float:
        """Of `total_s`, what was none of LOAD."""
        return total_s - sum(self.seconds.get(name, 0.0) for name in LOAD)
