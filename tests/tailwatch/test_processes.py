"""Processes: a number is not an identity, and nobody of ours escapes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwatch import processes
from tailwatch.processes import Process

MARKER = "TAILWATCH_STACK=a-test-of-processes"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def _process(pid: int) -> Process:
    found = processes.find(pid)
    assert found is not None
    return found


def test_a_process_with_the_same_number_and_another_start_is_somebody_else(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    earlier = Process(pid=sleeper.pid, started="another boot/1")
    assert not processes.is_alive(earlier)
    assert processes.in_sessions([earlier]) == []
    assert processes.end([earlier], asked=[earlier], within_s=0.1) == []
    assert sleeper.poll() is None, "a stranger must not be signalled"


def test_a_process_that_awaits_burial_is_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    process = _process(sleeper.pid)
    sleeper.send_signal(signal.SIGKILL)
    assert processes.wait([process], within_s=5) == []
    assert processes.find(sleeper.pid) is None


def test_one_that_ignores_the_request_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    process = _process(child.pid)
    assert processes.end([process], asked=[process], within_s=0.3) == [process]
    child.wait(5)
    child.stdout.close()


def test_a_grandchild_in_a_session_of_its_own_belongs_to_us(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    script = f"setsid sleep 60 & echo $! > {noted}; wait"
    child = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    leader = _process(child.pid)
    _await(noted)
    everything = processes.belonging_to([leader], MARKER)
    engine = next(one for one in everything if one.pid == int(noted.read_text()))
    processes.end(everything, asked=everything, within_s=5)
    child.wait(5)
    assert not processes.is_alive(engine)


def test_an_orphan_is_known_by_its_session_and_by_the_marker(tmp_path: Path) -> None:
    noted = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {noted}; setsid sleep 60 & echo $! >> {noted}; read line"
    name, _, value = MARKER.partition("=")
    child = subprocess.Popen(
        ["sh", "-c", script],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={name: value, "PATH": "/usr/bin:/bin"},
    )
    leader = _process(child.pid)
    child.communicate(b"end\n", timeout=5)
    numbers = {int(line) for line in noted.read_text().split()}
    found = processes.belonging_to([leader], MARKER)
    assert numbers <= {one.pid for one in found}
    processes.end(found, asked=found, within_s=5)
    assert processes.belonging_to([leader], MARKER) == []


def _await(path: Path) -> None:
    deadline = time.monotonic() + 5
    while not (path.exists() and path.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
