"""The keeper: a small process that starts an engine and outlives whoever asked for it.

    python -I runners/keeper.py LOG COMMAND...

It holds the read end of a pipe as its standard input. When the pipe closes (the launch ended, was
killed with SIGKILL, or its host process crashed), it stops the engine: TERM, 3.5 s, KILL. It is a
child subreaper (prctl(2)), so engine processes that leave their group are found as well. It imports
nothing of this package, so that the engine's PYTHONPATH need not name it.
TAILWATCH_AFTER, a JSON list, is a command to run at the very end, such as removing a container.
Exit code: the engine's, or 0 when it was asked to stop it.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

TERM_GRACE_S = 3.5
"""Airflow kills a task's group 5 s after SIGTERM: everything must be over before that."""
POLL_S = 0.05
PR_SET_CHILD_SUBREAPER = 36
NOT_STARTED = 127
"""Exit code of a shell for a command that it cannot find."""


def stat_fields(pid: int) -> list[bytes]:
    """What /proc/PID/stat tells behind the name of the program, from the state on (proc(5)).

    A name may hold any bytes, brackets and what is no text as well. Raises OSError when the process
    is gone.
    """
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()


def descendants(root: int) -> list[int]:
    """Process ids below `root`, children before grandchildren. Linux only."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = stat_fields(int(entry.name))
                if fields[0] != b"Z":
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        queue += children.get(queue[0], [])
        found += children.get(queue.pop(0), [])
    return found


def stop_descendants(grace_s: float = TERM_GRACE_S) -> None:
    """TERM to every descendant of this process, KILL to those that are left after the grace."""
    _signal_all(signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while descendants(os.getpid()) and time.monotonic() < deadline:
        _reap()
        time.sleep(POLL_S)
    while descendants(os.getpid()):
        _signal_all(signal.SIGKILL)
        _reap()
        time.sleep(POLL_S)
    _reap()


def _signal_all(number: int) -> None:
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(log: Path, command: list[str]) -> int:
    """Run `command` until it ends or standard input closes; nothing of it is left afterwards."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Only the pipe decides. Not SIG_IGN: the engine would inherit that and ignore TERM too.
        signal.signal(number, lambda *_: None)
    with log.open("ab") as output:
        try:
            engine = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        except OSError as error:
            output.write(f"cannot start {command[0]}: {error.strerror}\n".encode())
            return NOT_STARTED
    asked = False
    while engine.poll() is None and not asked:
        asked = bool(select.select([sys.stdin], [], [], POLL_S)[0])
    code = engine.returncode
    stop_descendants()
    after = json.loads(os.environ.get("TAILWATCH_AFTER", "[]"))
    if after:
        subprocess.run(after, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return 0 if asked else (code if code is not None and code >= 0 else 128 - (code or 0))


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2:]))
