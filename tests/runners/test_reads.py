"""Reads in Python and compiled: the same bytes are told, kept and stamped alike."""

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.load import clock, reads
from runners.load.reads import CLOSED, Reads, Taken

try:
    from runners.load import _reads
except ImportError:
    _reads = None  # type: ignore[assignment]

needs_compiler = pytest.mark.skipif(_reads is None, reason="runners/load/_reads.c is not built")
KINDS = [
    pytest.param(reads.Reads, id="python"),
    pytest.param(getattr(_reads, "Reads", None), id="compiled", marks=needs_compiler),
]
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WAIT_S = 5.0


@contextmanager
def connections(*, stamped: bool = True) -> Iterator[tuple[socket.socket, socket.socket]]:
    """(the server's end, ours)"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if stamped:
            clock.ask_for_stamps(ours)
            until_stamps_come(theirs, ours)
        ours.setblocking(False)
        yield theirs, ours


def until_stamps_come(theirs: socket.socket, ours: socket.socket) -> None:
    """The kernel begins to stamp a moment after the first socket asked for it."""
    ending_s = time.monotonic() + WAIT_S
    while time.monotonic() < ending_s:
        theirs.sendall(b"x")
        if ours.recvmsg(1, clock.ANCILLARY_BYTES)[1]:
            return
    raise TimeoutError("the kernel gives no stamps")


@contextmanager
def reading(kind: type[Reads], ours: socket.socket) -> Iterator[tuple[Reads, select.epoll]]:
    with select.epoll() as epoll:
        epoll.register(ours.fileno(), select.EPOLLIN)
        own = kind()
        own.begin(ours)
        yield own, epoll


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_needs_a_look_and_later_only_what_may_be_the_end(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        number = ours.fileno()
        theirs.sendall(HEAD)
        assert own.poll(epoll, WAIT_S, 0.0) == [(number, select.EPOLLIN, 0)]
        assert own.raw(number) == HEAD
        own.set_chunked(number)
        theirs.sendall(b"5\r\nhello\r\n")
        assert own.poll(epoll, 0.05, 0.0) == []
        theirs.sendall(b"0\r\n\r\n")
        assert own.poll(epoll, WAIT_S, 0.0) == [(number, select.EPOLLIN, 0)]
        assert own.raw(number) == HEAD + b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("kind", KINDS)
def test_an_end_that_comes_in_pieces_is_told(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        own.set_chunked(ours.fileno())
        for piece in (b"0\r\n", b"\r", b"\n"):  # each too short to tell by itself
            theirs.sendall(piece)
            assert own.poll(epoll, WAIT_S, 0.0) == [(ours.fileno(), select.EPOLLIN, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_stamps_are_the_kernels_however_late_the_read(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        before_s = time.clock_gettime(time.CLOCK_REALTIME)
        theirs.sendall(b"early")
        after_s = time.clock_gettime(time.CLOCK_REALTIME)
        time.sleep(0.05)
        own.poll(epoll, WAIT_S, 0.0)
        heard_s = own.heard_s(ours.fileno())
        taken = Taken(*own.take(ours.fileno()))
        assert taken.stamp_s is not None
        assert before_s <= taken.stamp_s[0] + 1e-6
        assert taken.stamp_s[0] <= after_s + 1e-3
        assert list(taken.read_s) == [heard_s]
        [late_s] = taken.late_s(taken.arrived_s(clock.realtime_offset()))
        assert late_s > 0.045


@pytest.mark.parametrize("kind", KINDS)
def test_without_stamps_the_reads_own_time_stands(kind: type[Reads]) -> None:
    with connections(stamped=False) as (theirs, ours), reading(kind, ours) as (own, epoll):
        theirs.sendall(b"hello")
        own.poll(epoll, WAIT_S, 0.0)
        taken = Taken(*own.take(ours.fileno()))
        assert taken.stamp_s is None
        assert taken.arrived_s(123.0) == taken.read_s
        assert 0 <= taken.late_s(taken.arrived_s(123.0))[0] < 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_and_a_reset_connection_say_why(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        theirs.shutdown(socket.SHUT_WR)
        [(number, _, failed)] = own.poll(epoll, WAIT_S, 0.0)
        assert (number, failed) == (ours.fileno(), CLOSED)
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()  # with a reset
        [(number, _, failed)] = own.poll(epoll, WAIT_S, 0.0)
        assert (number, failed) == (ours.fileno(), errno.ECONNRESET)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_read_here_is_told_and_left(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), select.epoll() as epoll:
        epoll.register(ours.fileno(), select.EPOLLIN)
        own = kind()
        theirs.sendall(b"hello")
        assert own.poll(epoll, WAIT_S, 0.0) == [(ours.fileno(), select.EPOLLIN, 0)]
        assert ours.recv(10) == b"hello"
        for ask in (own.raw, own.take, own.heard_s, own.set_chunked):
            with pytest.raises(KeyError):
                ask(ours.fileno())


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_begun_again_has_said_nothing(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        theirs.sendall(b"first")
        own.poll(epoll, WAIT_S, 0.0)
        own.begin(ours)
        assert own.heard_s(ours.fileno()) == 0.0
        assert own.raw(ours.fileno()) == b""
        assert Taken(*own.take(ours.fileno())).ends == []


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=8))
def test_both_keep_the_same_bytes_and_tell_the_same(pieces: list[bytes]) -> None:
    def told(kind: type[Reads]) -> tuple[bytes, int, tuple[bool, ...]]:
        with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
            own.set_chunked(ours.fileno())
            looks = []
            for piece in pieces:
                theirs.sendall(piece)
                while len(own.raw(ours.fileno())) < sum(map(len, pieces[: len(looks) + 1])):
                    last = own.poll(epoll, 0.0, 0.0)
                looks.append(bool(last))
            taken = Taken(*own.take(ours.fileno()))
            assert list(taken.ends) == sorted(set(taken.ends))
            assert len(taken.ends) == len(taken.read_s) == len(taken.woke_s)
            return taken.raw, taken.ends[-1], tuple(looks)

    assert told(reads.Reads) == told(_reads.Reads)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nap_ends_with_the_wait_and_reads_what_came_meanwhile(kind: type[Reads]) -> None:
    with connections() as (theirs, ours), reading(kind, ours) as (own, epoll):
        own.set_chunked(ours.fileno())
        theirs.sendall(b"5\r\nhello\r\n")
        began_s = time.monotonic()
        assert own.poll(epoll, 0.1, 0.01) == []
        assert 0.1 <= time.monotonic() - began_s < 1.0
        theirs.sendall(b"0\r\n\r\n")
        assert own.poll(epoll, WAIT_S, 0.01) == [(ours.fileno(), select.EPOLLIN, 0)]
        assert Taken(*own.take(ours.fileno())).ends == [10, 15]
