"""The process that reads the machine: one line of JSON a reading on standard output.

    python -m runners.telemetry.sampler KEEPER BEGAN CORE [UUID ...]

KEEPER is the process whose descendants are the engine, BEGAN the moment of CLOCK_MONOTONIC that its
readings count from, CORE the one it stays on. When its standard input closes, it takes a last
reading and ends: it cannot outlive whoever watches. A card that cannot be read ends it with the
reason on standard error; a field that a card does not have is null.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from runners import cards
from runners.keeper import descendants
from runners.telemetry.processor import busy_seconds, resident_bytes
from schema.trials import Telemetry

PERIOD_S = 0.2
LOOK_S = 1.0
"""How often the engine's processes are looked for: that reads all of /proc."""
NICE = 5
"""Gives way to the engine and the load, but not so far that it starves on a core they share."""
CANNOT_READ = 3
"""Exit code when a card cannot be read."""


class Processor:
    """Readings of the host: memory of the engine's processes, share of the cores that is busy."""

    def __init__(self, keeper: int) -> None:
        self._keeper, self._engine = keeper, [keeper]
        self._looked_s, self._read_s, self._busy_s = -LOOK_S, time.monotonic(), busy_seconds()

    def read(self, at_s: float) -> Telemetry:
        now, busy = time.monotonic(), busy_seconds()
        if now - self._looked_s >= LOOK_S:
            self._engine, self._looked_s = descendants(self._keeper), now
        seconds = (now - self._read_s) * (os.cpu_count() or 1)
        share = (busy - self._busy_s) / seconds if seconds else 0.0
        self._read_s, self._busy_s = now, busy
        memory = resident_bytes(self._engine)
        return Telemetry(
            at_s=at_s,
            device="cpu",
            memory_bytes=memory or None,
            utilisation=min(1.0, max(0.0, share)),
        )


def readings(keeper: int, began: float, uuids: Sequence[str]) -> Iterator[list[Telemetry]]:
    """Every PERIOD_S one reading of each device; the first and the last also of what changes
    slowly. Ends when standard input does; raises cards.UNREADABLE where a card is not."""
    processor, ticks, first = Processor(keeper), 0, time.monotonic()
    over = told = False

    def now_s() -> float:
        return time.monotonic() - began

    while not over:
        ticks += 1
        due = first + ticks * PERIOD_S
        over = _closed(max(0.0, due - time.monotonic()))
        ticks = max(ticks, int((time.monotonic() - first) / PERIOD_S))  # late: none is made up for
        slowly = over or not told
        told = True
        ones = [cards.read(uuid, now_s, slowly=slowly) for uuid in uuids]
        yield [processor.read(now_s()), *ones]


def _closed(within_s: float) -> bool:
    """Whether standard input ends in this time."""
    return bool(select.select([sys.stdin], [], [], within_s)[0])


def main(arguments: Sequence[str]) -> int:
    """0: whoever watched is gone or has enough. CANNOT_READ: a card cannot be read."""
    keeper, began, core, *uuids = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever watches decides
    os.nice(NICE)
    with contextlib.suppress(OSError):  # a container may not let it choose
        os.sched_setaffinity(0, {int(core)})
    try:
        with cards.required() if uuids else contextlib.nullcontext():
            for ones in readings(int(keeper), float(began), uuids):
                sys.stdout.write("".join(one.model_dump_json() + "\n" for one in ones))
                sys.stdout.flush()
    except cards.UNREADABLE as error:
        sys.stderr.write(f"a card cannot be read: {error}\n")
        return CANNOT_READ
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is in its buffer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
