"""Which port an engine gets, and what becomes of a launch whose port is taken."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from runners.errors import PortBusy
from runners.launch import may_pass
from runners.server import PORTS, free_port
from schema.trials import Launch, TrialState


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def test_a_port_leaves_room_for_the_one_that_sglang_counts_up_from_it() -> None:
    assert free_port() + 10_000 < 2**16 > PORTS[-1] + 10_000


def test_launches_side_by_side_hardly_ever_get_the_same_port() -> None:
    assert len({free_port() for _ in range(20)}) > 15


def test_a_port_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_port(), free_port()
    monkeypatch.setattr("random.sample", lambda *_: [taken, free])
    with listening(taken):
        assert free_port() == free


def test_a_host_without_a_free_port_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    monkeypatch.setattr("random.sample", lambda *_: [taken])
    with listening(taken), pytest.raises(PortBusy) as refusal:
        free_port()
    assert str(refusal.value) == (
        "a hundred ports from 20000 to 32767 are in use: end what listens there"
    )


def test_a_port_in_use_is_refused_before_the_start(run_launch: Callable[..., Launch]) -> None:
    port = free_port()
    with listening(port):
        document = run_launch(options={"port": port})
    (trial,) = document.trials
    assert (trial.state, trial.reason) == (
        TrialState.FAILED,
        f"PortBusy: port {port} is in use: end what listens there, or name another with --port",
    )
    assert may_pass(document)
