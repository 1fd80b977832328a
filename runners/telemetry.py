"""Watching the machine while an engine runs: memory, processor, cards."""

import contextlib
import os
import threading
import time
from pathlib import Path
from types import TracebackType

from runners import cards
from runners.keeper import descendants
from schema.trials import Telemetry

PERIOD_S = 0.5
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def resident_bytes(pids: list[int]) -> int:
    """Memory resident for these processes; shared pages count once per process."""
    return PAGE * sum(_field(pid, "statm", 1) for pid in pids)


def cpu_seconds(pids: list[int]) -> float:
    """Processor time these processes have used so far, s."""
    total = 0
    for pid in pids:
        stat = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        total += int(stat[11]) + int(stat[12]) if len(stat) > 12 else 0
    return total / TICKS_PER_S


def busy_seconds() -> float:
    """Processor time all of this host's cores have used so far, s."""
    fields = [int(text) for text in _read(Path("/proc/stat")).splitlines()[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS_PER_S  # without idle and iowait


def _field(pid: int, name: str, index: int) -> int:
    fields = _read(Path(f"/proc/{pid}/{name}")).split()
    return int(fields[index]) if len(fields) > index else 0


def _read(path: Path) -> str:
    """A /proc file; empty when its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


class Watch:
    """Reads the host and its cards every half second in a thread of its own.

    A context manager; `readings` is complete after it ends.
    """

    def __init__(self, keeper: int, uuids: tuple[str, ...]) -> None:
        self.readings: list[Telemetry] = []
        self._keeper, self._uuids = keeper, uuids
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def now_s(self) -> float:
        """Seconds since the watch began: the clock of its readings."""
        return time.monotonic() - self._began

    def _run(self) -> None:
        with cards.nvml() if self._uuids else contextlib.nullcontext():
            self._read_until_over()

    def _read_until_over(self) -> None:
        busy, at = busy_seconds(), self.now_s()
        while not self._over.wait(PERIOD_S):
            later, now = busy_seconds(), self.now_s()
            cores = os.cpu_count() or 1
            share = min(1.0, max(0.0, (later - busy) / (now - at) / cores))
            memory = resident_bytes(descendants(self._keeper))
            reading = Telemetry(
                at_s=now, device="cpu", memory_bytes=memory or None, utilisation=share
            )
            self.readings += [reading, *cards.read(self._uuids, now)]
            busy, at = later, now

    def peak_memory(self, device: str | None) -> float | None:
        """Highest memory seen on the host's engine processes ("cpu") or on the fullest card."""
        seen = [
            r.memory_bytes
            for r in self.readings
            if r.memory_bytes and (r.device == "cpu") == (device == "cpu")
        ]
        return float(max(seen)) if seen else None

    def energy_j(self, begin_s: float, end_s: float) -> float | None:
        """Energy of all cards between two moments of this watch; None without cards."""
        total, cards_seen = 0.0, 0
        for uuid in self._uuids:
            counter = [
                r.energy_j
                for r in self.readings
                if r.device == uuid and r.energy_j is not None and begin_s <= r.at_s <= end_s
            ]
            if len(counter) >= 2:
                total, cards_seen = total + counter[-1] - counter[0], cards_seen + 1
        return total if cards_seen and cards_seen == len(self._uuids) else None

    def throttle_reasons(self, begin_s: float, end_s: float) -> int:
        """OR of the slowing clock event reasons seen between two moments."""
        bits = 0
        for reading in self.readings:
            if begin_s <= reading.at_s <= end_s:
                bits |= (reading.throttle_reasons or 0) & cards.SLOWING
        return bits
