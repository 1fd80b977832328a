"""Long-lived processes of the local stack: start them, wait for them, know them again."""

import subprocess
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from schema.words import Word
from tailwatch import processes
from tailwatch.errors import ServiceDied
from tailwatch.processes import Process

POLL_S = 0.3
TAIL_LINES = 15


class Service(Word):
    """A process that `up` started and `down` must end."""

    name: str
    process: Process
    settings: str
    """Digest of its command and variables: when they change it must be started anew."""
    log: str
    outlived: tuple[Process, ...] = ()
    """Earlier processes of this service whose sessions still have members: the workers of a
    scheduler that was killed go on."""

    @property
    def leaders(self) -> tuple[Process, ...]:
        """Of all its sessions."""
        return self.process, *self.outlived


class Stack(Word):
    """What runs: kept in the state file, so that `down` never ends a stranger's process."""

    marker: str
    """Value of TAILWATCH_STACK in the environment of every process of this stack."""
    airflow_port: int
    dashboard_port: int
    services: tuple[Service, ...] = ()

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def dashboard_url(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)

    def replacing(self, service: Service) -> "Stack":
        """The same stack with this service in place of its namesake."""
        others = tuple(other for other in self.services if other.name != service.name)
        return self.model_copy(update={"services": (*others, service)})


def read_stack(path: Path) -> Stack | None:
    """What the state file says; None when there is none or it cannot be read."""
    try:
        return Stack.model_validate_json(path.read_text())
    except (OSError, ValueError):
        return None


def write_stack(path: Path, stack: Stack) -> None:
    """Replace the state file at once: a reader sees the old or the new one."""
    half = path.with_suffix(".half")
    half.write_text(stack.model_dump_json(indent=2))
    half.replace(path)


def launch(
    command: Sequence[str], environment: Mapping[str, str], *, log: Path, directory: Path
) -> Process:
    """Start a process in a session of its own, its output appended to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, warnings.catch_warnings():
        # The process is meant to outlive the object that started it.
        warnings.simplefilter("ignore", ResourceWarning)
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        pid = child.pid
        del child
    process = processes.find(pid)
    if process is None:
        raise ServiceDied(f"{command[0]} ended at once; {tail(log)}")
    return process


def await_health(
    services: Sequence[Service], is_healthy: Callable[[], bool], *, within_s: float
) -> None:
    """Return when healthy; raises ServiceDied with the end of the log that explains it."""
    deadline = time.monotonic() + within_s
    while not is_healthy():
        for service in services:
            if not processes.is_alive(service.process):
                raise ServiceDied(f"{service.name} ended during its start; {tail(service.log)}")
        if time.monotonic() > deadline:
            names = ", ".join(service.name for service in services)
            ends = "\n".join(tail(service.log) for service in services)
            raise ServiceDied(f"{names} not healthy after {within_s:.0f} s; {ends}")
        time.sleep(POLL_S)


def answers(url: str) -> bool:
    """Whether the address answers 200."""
    try:
        # Without trust_env a proxy of the machine cannot come between us and the loopback.
        return httpx.get(url, timeout=5.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def tail(log: Path | str) -> str:
    """The last lines of a log with its address."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        lines = []
    return f"end of {log}:\n" + "\n".join(f"  {line}" for line in lines)
