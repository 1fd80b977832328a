"""The state of the stack: what `down` may end, and which port a service gets."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwatch import postgres, processes, stack
from tailwatch.errors import PortTaken, ServiceDied, StackDown
from tailwatch.home import Home
from tailwatch.processes import Process
from tailwatch.services import Service, Stack, await_health, launch, read_stack, write_stack


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    ours = Home(directory=tmp_path / "home")
    ours.directory.mkdir()
    yield ours
    postgres.remove(ours.postgres)


def _stack(*services: Service) -> Stack:
    return Stack(marker="a-test", airflow_port=18080, dashboard_port=18501, services=services)


def _service(name: str, process: Process, log: str = "/dev/null") -> Service:
    return Service(name=name, process=process, settings="s", log=log)


def _tell(_: str) -> None:
    """Nobody waits."""


def _started(home: Home, *command: str) -> Service:
    log = home.logs / "service.log"
    process = launch(command, dict(os.environ), log=log, directory=home.directory)
    return _service("dashboard", process, str(log))


def test_down_ends_what_up_started_and_forgets_it(home: Home) -> None:
    service = _started(home, "sleep", "60")
    write_stack(home.state, _stack(service))
    assert stack.down(home, _tell)
    assert not processes.is_alive(service.process)
    assert not stack.down(home, _tell), "a second time there is nothing to end"
    kept = read_stack(home.state)
    assert kept is not None
    assert (kept.dashboard_port, kept.services) == (18501, ())


def test_down_never_ends_a_stranger_that_got_the_number(home: Home) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    write_stack(home.state, _stack(_service("x", Process(pid=stranger.pid, started="before/1"))))
    assert not stack.down(home, _tell)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_state_file_that_cannot_be_read_counts_as_none(home: Home) -> None:
    home.state.write_text('{"marker": ')
    assert read_stack(home.state) is None
    with pytest.raises(StackDown, match="`tailwatch up` starts it"):
        stack.running_stack(home)


def test_a_service_that_ended_by_itself_is_named_with_its_log(home: Home) -> None:
    write_stack(home.state, _stack(_service("airflow-scheduler", Process(pid=1, started="x/1"))))
    with pytest.raises(ServiceDied, match=r"airflow-scheduler \(log: .*`tailwatch up`"):
        stack.running_stack(home)


def test_a_service_that_dies_during_its_start_shows_the_end_of_its_log(home: Home) -> None:
    service = _started(home, "sh", "-c", "echo no such model; sleep 0.2; exit 3")
    with pytest.raises(ServiceDied, match=r"(?s)dashboard ended during its start.*no such model"):
        await_health([service], lambda: False, within_s=10)


def test_a_service_that_never_gets_healthy_is_not_awaited_for_ever(home: Home) -> None:
    service = _started(home, "sleep", "60")
    with pytest.raises(ServiceDied, match="not healthy after 0 s"):
        await_health([service], lambda: False, within_s=0)
    processes.end([service.process], asked=[service.process], within_s=5)


def test_a_taken_port_that_was_asked_for_is_an_error_and_a_remembered_one_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port}.*another with --dashboard-port"):
            stack._plan(None, None, port)
        remembered = _stack().model_copy(update={"dashboard_port": port})
        assert stack._plan(remembered, None, None).dashboard_port != port


def test_a_running_service_keeps_its_port(home: Home) -> None:
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        port = ours.getsockname()[1]
        me = processes.find(os.getpid())
        assert me is not None
        running = _stack(_service("dashboard", me)).model_copy(update={"dashboard_port": port})
        assert stack._plan(running, None, None).dashboard_port == port
        assert stack._plan(running, None, port).dashboard_port == port
