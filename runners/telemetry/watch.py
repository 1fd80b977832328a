"""Watching the machine while an engine runs: starts the process that reads it, keeps its readings.

The launch never waits for that process and goes on when it ends; then `silence` tells why.
"""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import IO

from pydantic import ValidationError

from runners.telemetry import readings
from schema.trials import Telemetry

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
END_WITHIN_S = 5.0
"""For a last reading. A driver that hangs must not hold the launch."""
BEGUN_WITHIN_S = 10.0
CAUGHT_UP_WITHIN_S = readings.LONGEST_GAP_S


@dataclass(frozen=True, kw_only=True)
class Span:
    """What was seen of the machine between two moments; None is `not known`."""

    gpu_memory_peak: float | None
    """Of the fullest card since the launch, B."""
    gpu_memory_together: float | None
    """The peaks of all cards since the launch, added up, B; None unless every card has one."""
    host_memory_peak: float | None
    """Of the engine's processes since the launch, B."""
    energy_j: float | None
    """Of all cards together."""
    gpu_busy: float | None
    """Share of the span in which a card ran a kernel, 0..1, mean over the cards."""
    throttle_reasons: int | None
    lost: str | None
    """Why the machine was not watched all the time; then nothing of it is known."""


class Watch:
    """Reads the host and its cards every 0.2 s in a process of its own, on the core given.

    A context manager; `readings` is complete after it ends.
    """

    def __init__(self, keeper: int, uuids: tuple[str, ...], core: int) -> None:
        self.readings: list[Telemetry] = []
        self._keeper, self._uuids, self._core = keeper, uuids, core
        self._began = time.monotonic()
        self._told = threading.Condition()
        self._over = False
        self._death: str | None = None

    def __enter__(self) -> "Watch":
        arguments = [str(self._keeper), repr(self._began), str(self._core), *self._uuids]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runners.telemetry.sampler", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._listen, name="telemetry", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        if not isinstance(error, Exception | None):  # told to stop: the engine must be gone soon
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            _pipe(self.process.stdin).close()
        try:
            self.process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            log.warning("the telemetry process does not end: it is killed")
            self.process.kill()
        self._thread.join(END_WITHIN_S)
        if not self._thread.is_alive():
            _pipe(self.process.stdout).close()
            _pipe(self.process.stderr).close()

    def now_s(self) -> float:
        """Seconds since the watch began: the clock of its readings."""
        return time.monotonic() - self._began

    def begun(self) -> None:
        """Return when there is a reading, or there will be none: an engine may be ready sooner."""
        with self._told:
            self._told.wait_for(lambda: self._death or self.readings, BEGUN_WITHIN_S)

    def span(self, begin_s: float, end_s: float) -> Span:
        """What was seen between two moments; with cards, waits for the readings after the second,
        which their energy needs."""
        with self._told:
            if self._uuids:
                self._told.wait_for(lambda: self._caught_up(end_s), CAUGHT_UP_WITHIN_S)
            seen, uuids = list(self.readings), self._uuids
        lost = self._lost(seen, begin_s, end_s)
        known = [] if lost else seen
        peaks = readings.peak_memory(known, uuids)
        return Span(
            gpu_memory_peak=max(peaks.values(), default=None),
            gpu_memory_together=sum(peaks.values()) if len(peaks) == len(uuids) > 0 else None,
            host_memory_peak=readings.peak_memory(known, (readings.CPU,)).get(readings.CPU),
            energy_j=readings.energy_j(known, uuids, begin_s, end_s),
            gpu_busy=readings.busy(known, uuids, begin_s, end_s),
            throttle_reasons=readings.throttle_reasons(known, uuids, begin_s, end_s),
            lost=lost,
        )

    def _caught_up(self, moment: float) -> bool:
        """Whether every card was read after the moment, or none will be."""
        later = takewhile(lambda reading: reading.at_s > moment, reversed(self.readings))
        return self._death is not None or {one.device for one in later} >= set(self._uuids)

    def _lost(self, seen: list[Telemetry], begin_s: float, end_s: float) -> str | None:
        for device in (readings.CPU, *self._uuids):
            gap = readings.unseen(seen, device, begin_s, end_s)
            if gap is not None:
                return self._death or gap
        return None

    def _listen(self) -> None:
        """In a thread: keeps every reading until the process ends, then tells why it did."""
        with contextlib.suppress(ValidationError):  # of half a line, when it is killed
            for line in _pipe(self.process.stdout):
                reading = Telemetry.model_validate_json(line)
                with self._told:
                    self.readings.append(reading)
                    self._told.notify_all()
        why = _pipe(self.process.stderr).read().decode(errors="replace").strip()
        code = self.process.wait()
        with self._told:
            if not self._over:
                last = f": {why.splitlines()[-1]}" if why else ""
                self._death = f"the telemetry process ended with exit code {code}{last}"
                log.warning("%s; the launch goes on", self._death)
            self._told.notify_all()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
