"""The local stack: databases, Airflow and dashboard, up and down."""

import fcntl
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from schema.session import migrate
from schema.words import digest
from tailwatch import airflow, postgres, processes
from tailwatch.airflow_client import AirflowClient
from tailwatch.databases import Databases, start_databases
from tailwatch.errors import ServiceDied, StackDown
from tailwatch.home import REPOSITORY, Home
from tailwatch.ports import LOOPBACK, free_port, require_free
from tailwatch.processes import Process
from tailwatch.services import (
    Service,
    Stack,
    answers,
    await_health,
    launch,
    read_stack,
    write_stack,
)

MARKER = "TAILWATCH_STACK"
DASHBOARD = "dashboard"
DASHBOARD_STARTS_WITHIN_S = 120.0
PREFERRED_AIRFLOW_PORT = 8080
PREFERRED_DASHBOARD_PORT = 8501
Tell = Callable[[str], None]


def up(
    home: Home, tell: Tell, *, airflow_port: int | None = None, dashboard_port: int | None = None
) -> Stack:
    """Start whatever does not run yet and return when all of it is healthy.

    A service that runs with other settings (another database, another port) is started anew.
    Raises TailwatchError with the end of the log that explains it; what did start stays.
    """
    with _locked(home):
        stack = _plan(read_stack(home.state), airflow_port, dashboard_port)
        write_stack(home.state, stack)
        tell("starting Postgres")
        databases = start_databases(home)
        migrate(databases.tailwatch)
        environment = _environment(home, stack, databases)
        tell("starting the dashboard")
        stack = _ensure(home, stack, DASHBOARD, _dashboard_command(stack), environment)
        tell(f"dashboard: {stack.dashboard_url}")
        stack = _up_airflow(home, stack, environment, tell)
        _await_dashboard(stack)
        return stack


def down(home: Home, tell: Tell) -> bool:
    """End everything that `up` started, tasks and their engines too. False when nothing ran.

    The state file stays, for the ports: the addresses are the same after the next `up`.
    """
    with _locked(home):
        stack = read_stack(home.state)
        ended = _end_services(stack, tell) if stack else 0
        if stack:
            write_stack(home.state, stack.model_copy(update={"services": ()}))
        stopped = postgres.stop(home.postgres)
        if stopped:
            tell("Postgres stopped")
        return bool(ended) or stopped


def running_stack(home: Home) -> Stack:
    """The stack, when all of its services run; raises StackDown otherwise."""
    stack = read_stack(home.state)
    if stack is None or not stack.services:
        raise StackDown("the local stack is not up: `tailwatch up` starts it")
    require_alive(stack)
    return stack


def require_alive(stack: Stack) -> None:
    """Raise ServiceDied when a service ended since `up`."""
    dead = [one for one in stack.services if not processes.is_alive(one.process)]
    if dead:
        logs = ", ".join(f"{one.name} (log: {one.log})" for one in dead)
        raise ServiceDied(f"{logs} ended by itself: `tailwatch up` starts it again")


def _plan(stack: Stack | None, airflow_port: int | None, dashboard_port: int | None) -> Stack:
    """The stack as asked for: ports that were named, else the last ones, else free ones."""
    stack = stack or Stack(
        marker=secrets.token_hex(16),
        airflow_port=PREFERRED_AIRFLOW_PORT,
        dashboard_port=PREFERRED_DASHBOARD_PORT,
    )
    ports = {
        "airflow_port": _port(stack, "airflow-api-server", stack.airflow_port, airflow_port),
        "dashboard_port": _port(stack, DASHBOARD, stack.dashboard_port, dashboard_port),
    }
    return stack.model_copy(update=ports)


def _port(stack: Stack, name: str, last: int, asked: int | None) -> int:
    service = stack.service(name)
    is_ours = service is not None and processes.is_alive(service.process)
    if is_ours and asked in (None, last):
        return last
    if asked is None:
        return free_port(last)
    option = "--dashboard-port" if name == DASHBOARD else "--airflow-port"
    return require_free(asked, name, f"end that program, or choose another with {option}")


def _environment(home: Home, stack: Stack, databases: Databases) -> dict[str, str]:
    """What the services get on top of the caller's environment."""
    return {
        **airflow.settings(home, port=stack.airflow_port, metadata_url=databases.airflow),
        "DATABASE_URL": databases.tailwatch,
        "TAILWATCH_HOME": str(home.directory),
        "TAILWATCH_DASHBOARD_URL": stack.dashboard_url,
        MARKER: stack.marker,
    }


def _inherited() -> dict[str, str]:
    """The caller's environment, made fit: bytecode is kept, the loopback needs no proxy."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [kept.get(name), LOOPBACK, "localhost"]))
    programs = str(Path(sys.executable).parent)
    return {**kept, "PATH": os.pathsep.join(filter(None, [programs, kept.get("PATH")]))}


def _ensure(
    home: Home, stack: Stack, name: str, command: list[str], environment: dict[str, str]
) -> Stack:
    """The stack with this service running, and the state file saying so."""
    settings = digest([command, environment])
    service = stack.service(name)
    if service and processes.is_alive(service.process):
        if service.settings == settings:
            return stack
        members = processes.in_sessions([service.process])
        _end(members, members)
    log = home.logs / f"{name}.log"
    directory = REPOSITORY if name == DASHBOARD else home.airflow
    process = launch(command, {**_inherited(), **environment}, log=log, directory=directory)
    earlier = service.leaders if service else ()
    outlived = tuple(one for one in earlier if processes.in_sessions([one]))
    stack = stack.replacing(
        Service(name=name, process=process, settings=settings, log=str(log), outlived=outlived)
    )
    write_stack(home.state, stack)
    return stack


def _up_airflow(home: Home, stack: Stack, environment: dict[str, str], tell: Tell) -> Stack:
    home.airflow.mkdir(parents=True, exist_ok=True)
    home.spool.mkdir(parents=True, exist_ok=True)
    tell("starting Airflow (about half a minute)")
    airflow.migrate(home, {**_inherited(), **environment})
    for name in airflow.COMMANDS:
        stack = _ensure(home, stack, name, airflow.command(name), environment)
    ours = [service for service in stack.services if service.name in airflow.COMMANDS]
    with AirflowClient(stack.airflow_url) as client:
        await_health(ours, client.is_healthy, within_s=airflow.STARTS_WITHIN_S)
        airflow.ensure_pools(client)
    tell(f"Airflow: {stack.airflow_url}")
    return stack


def _dashboard_command(stack: Stack) -> list[str]:
    options = {
        "server.headless": "true",
        "server.port": str(stack.dashboard_port),
        "server.address": LOOPBACK,
        "browser.gatherUsageStats": "false",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", *flags]


def _await_dashboard(stack: Stack) -> None:
    ours = [service for service in stack.services if service.name == DASHBOARD]
    url = f"{stack.dashboard_url}/_stcore/health"
    await_health(ours, lambda: answers(url), within_s=DASHBOARD_STARTS_WITHIN_S)


def _end_services(stack: Stack, tell: Tell) -> int:
    """TERM the sessions of the services; engines in sessions of their own follow their task."""
    leaders = [leader for service in stack.services for leader in service.leaders]
    everything = processes.belonging_to(leaders, f"{MARKER}={stack.marker}")
    if everything:
        tell(f"ending {', '.join(one.name for one in stack.services) or 'what was left'}")
        _end(everything, processes.in_sessions(leaders))
    # Whatever was being born while the rest was ending.
    late = processes.belonging_to(leaders, f"{MARKER}={stack.marker}")
    _end(late, late)
    return len(everything)


def _end(everything: list[Process], asked: list[Process]) -> None:
    processes.end(everything, asked=asked, within_s=airflow.STOPS_WITHIN_S)


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """One `up` or `down` at a time; a second one waits."""
    home.directory.mkdir(parents=True, exist_ok=True)
    with (home.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
