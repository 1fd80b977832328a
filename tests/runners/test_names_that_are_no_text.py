"""Any process of a host may call itself whatever it likes: Linux takes any bytes (prctl(2))."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from runners import keeper
from runners.keeper import descendants, stat_fields
from runners.telemetry.processor import cpu_seconds
from tailwatch import processes

RENAMED = """
import ctypes, sys
PR_SET_NAME = 15
ctypes.CDLL(None).prctl(PR_SET_NAME, b") \\xff (")
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def odd() -> Iterator[int]:
    """Number of a process whose name is no text."""
    command = [sys.executable, "-c", RENAMED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def test_a_keeper_ends_its_engine_beside_it() -> None:
    command = [sys.executable, "-I", keeper.__file__, "/dev/null", "sleep", "60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")


def test_it_is_known_like_any_other(odd: int) -> None:
    assert odd in descendants(os.getpid())
    assert int(stat_fields(odd)[1]) == os.getpid()
    assert cpu_seconds([odd]).keys() == {odd}
    assert processes.find(odd) is not None
