"""What a process began with is known at any moment of its life."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from runners import environ


@contextmanager
def sleeping(variables: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(["sleep", "60"], env=variables)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_process_is_known_while_it_begins_its_program() -> None:
    """Asked at once, some of these show the kernel's empty environment first: 1 to 5 %."""
    for number in range(300):
        with sleeping({"NUMBER": str(number)}) as child:
            assert environ.variables(child.pid) == [b"NUMBER=%d" % number]


def test_one_that_was_given_nothing_is_not_waited_for() -> None:
    with sleeping({}) as child:
        while environ._is_beginning(child.pid):
            time.sleep(0.001)
        assert _asked_at_once(child.pid) == []


def test_one_that_awaits_burial_is_not_waited_for() -> None:
    with sleeping(os.environ) as child:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with suppress(ProcessLookupError):  # kernels differ
            assert _asked_at_once(child.pid) == []


def test_one_that_is_gone_is_an_error() -> None:
    with sleeping(os.environ) as child:
        pass
    with pytest.raises(FileNotFoundError):
        environ.variables(child.pid)


def _asked_at_once(pid: int) -> list[bytes]:
    began = time.monotonic()
    found = environ.variables(pid)
    assert time.monotonic() - began < environ.LAID_OUT_WITHIN_S / 2
    return found
