"""What /proc tells of processes and of this host's cores."""

import os
from contextlib import suppress
from pathlib import Path

from runners.keeper import stat_fields

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def resident_bytes(pids: list[int]) -> int:
    """Memory resident for these processes; shared pages count once per process."""
    return PAGE * sum(_field(pid, "statm", 1) for pid in pids)


def cpu_seconds(pids: list[int]) -> dict[int, float]:
    """Processor time that each of these processes has used so far, s; without those that ended."""
    used = {}
    for pid in pids:
        with suppress(OSError):
            fields = stat_fields(pid)
            used[pid] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return used


def used_since(before: dict[int, float], after: dict[int, float]) -> float:
    """Processor time used by the processes that lived at both moments, s."""
    return sum(after[pid] - used for pid, used in before.items() if pid in after)


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
