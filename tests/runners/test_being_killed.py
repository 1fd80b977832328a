"""However a launching process ends, no engine is left 5 s later."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from runners import keeper as keeper_program
from runners.device import leftovers, sweep
from runners.errors import DeviceBusy
from runners.keeper import descendants

InterpreterMaker = Callable[..., str]
Ended = Callable[["subprocess.Popen[str]"], AbstractContextManager["subprocess.Popen[str]"]]

BY_HAND = """
import sys
from runners import device, server
server.MARK = device.MARK = sys.argv.pop(1)
from runners.__main__ import main
sys.exit(main())
"""
LIMIT_S = 5.0
"""Airflow kills a task's group this long after SIGTERM."""
STUBBORN: dict[str, float] = {"ignore_term": 1, "grandchild": 1}

CASES: dict[str, tuple[signal.Signals, dict[str, float]]] = {
    # signal to the launching process, behaviour of its engine
    "sigkill, stubborn": (signal.SIGKILL, STUBBORN),
    "sigterm, stubborn": (signal.SIGTERM, STUBBORN),
    "sigterm under load": (signal.SIGTERM, {"ttft_s": 0.01, "itl_s": 0.01}),
}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A launch by hand in a process of its own."""

    process: "subprocess.Popen[str]"
    home: Path
    mark: str
    number: signal.Signals

    def engine(self) -> list[int]:
        """Its keeper, its engine and what that started."""
        return marked(self.mark)

    def is_healthy(self) -> bool:
        logs = self.home.glob("logs/engines/*.log")
        return any("KV cache" in log.read_text() for log in logs)


def marked(mark: str) -> list[int]:
    """Processes that carry the variable of this name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{mark}=".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def start(python: str, home: Path, mark: str) -> "subprocess.Popen[str]":
    """Measure the demo's closed loop with a fake engine; locks and mark are its own."""
    home.mkdir()
    command = [sys.executable, "-c", BY_HAND, mark, "demo:tiny-llama", "--build", "vllm==0.32.0"]
    environment = os.environ | {"TAILWATCH_HOME": str(home), "TMPDIR": str(home)}
    return subprocess.Popen(
        [*command, "--python", python],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture
def all_running(
    tmp_path: Path, mark: str, interpreter: InterpreterMaker, ended: Ended
) -> Iterator[dict[str, Running]]:
    """Every case at once, each with a healthy engine under load."""
    with ExitStack() as stack:
        running = {}
        for place, (name, (number, behaviour)) in enumerate(CASES.items()):
            python = interpreter(**{"ttft_s": 1.0, **behaviour})
            own, home = f"{mark}_{place}", tmp_path / f"home-{place}"
            process = stack.enter_context(ended(start(python, home, own)))
            running[name] = Running(process=process, home=home, mark=own, number=number)
        deadline = time.monotonic() + 30
        while not all(one.is_healthy() for one in running.values()):
            assert time.monotonic() < deadline, "the launches did not start"
            time.sleep(0.1)
        yield running


def test_no_engine_is_left_when_the_launching_process_is_killed(
    all_running: dict[str, Running],
) -> None:
    time.sleep(0.7)  # into the load
    stubborn = all_running["sigterm, stubborn"]
    assert len(stubborn.engine()) == 3  # keeper, engine, the grandchild in its own session
    for one in all_running.values():
        one.process.send_signal(one.number)
    deadline = time.monotonic() + LIMIT_S
    left = {name: one.engine() for name, one in all_running.items()}
    while any(left.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {name: one.engine() for name, one in all_running.items()}
    assert left == {name: [] for name in CASES}
    for name, one in all_running.items():
        said, logged = one.process.communicate(timeout=LIMIT_S)
        assert said == "", name
        if one.number is signal.SIGTERM:
            assert one.process.returncode == 130, logged
            assert logged.splitlines()[-1].startswith("runners: stopped; the engine is gone"), name


def said_by(program: str) -> tuple[str, str]:
    """What it wrote to standard output and error."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout, done.stderr


def test_sigterm_is_not_lost_inside_a_destructor() -> None:
    """What a destructor raises is only reported; the launch would go on measuring."""
    program = """
import os, signal, time
from runners.errors import Killed
from runners.stopping import terminated_as_exception

class Connection:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

try:
    with terminated_as_exception():
        connection = Connection()
        del connection
        time.sleep(30)
except Killed:
    print("killed")
"""
    assert said_by(program) == ("killed\n", "")


def test_the_engine_of_a_live_launch_is_not_swept(alone: Path, mark: str, ended: Ended) -> None:
    """Launches with different folders for temporary files do not see each other's locks."""
    keeper = [sys.executable, "-I", keeper_program.__file__, "/dev/null", "sleep", "60"]
    environment = os.environ | {mark: "cpu-0"}
    with ended(
        subprocess.Popen(keeper, stdin=subprocess.PIPE, env=environment, text=True)
    ) as process:
        deadline = time.monotonic() + 10
        while not descendants(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(DeviceBusy, match="give all launches of this host one TMPDIR"):
            sweep(("cpu-0",))
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
    assert leftovers(("cpu-0",)) == []
