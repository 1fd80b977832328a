"""tailwatch up, down, status."""

import argparse

from tailwatch import postgres, processes, stack
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.home import Home, find_home
from tailwatch.services import Stack, read_stack


def register(commands: Commands) -> None:
    up = add(
        commands,
        "up",
        run_up,
        "start Postgres, Airflow and the dashboard on this machine, whatever does not run yet",
        "  tailwatch up\n  DATABASE_URL=postgresql://me:secret@db/tailwatch tailwatch up",
    )
    up.add_argument("--airflow-port", type=int, metavar="PORT", help="default: last, 8080 or free")
    up.add_argument(
        "--dashboard-port", type=int, metavar="PORT", help="default: last, 8501 or free"
    )
    add(commands, "down", run_down, "end everything that `up` started; all data stays")
    add(
        commands,
        "status",
        run_status,
        "tell what runs and where; exit code 1 unless all of it does",
    )


def run_up(arguments: argparse.Namespace) -> int:
    home = find_home()
    ports = {"airflow_port": arguments.airflow_port, "dashboard_port": arguments.dashboard_port}
    show_addresses(home, stack.up(home, tell, **ports))
    return 0


def run_down(_: argparse.Namespace) -> int:
    if not stack.down(find_home(), tell):
        tell("nothing was running")
    return 0


def run_status(_: argparse.Namespace) -> int:
    home = find_home()
    known = read_stack(home.state)
    states = {"postgres": postgres.postmaster(home.postgres) is not None}
    for service in known.services if known else ():
        states[service.name] = processes.is_alive(service.process)
    for name, is_up in states.items():
        result(f"{name:22} {'up' if is_up else 'down'}")
    if known and known.services:
        show_addresses(home, known)
    everything_is_up = bool(known and known.services) and all(states.values())
    if not everything_is_up:
        tell("`tailwatch up` starts what is down")
    return 0 if everything_is_up else 1


def show_addresses(home: Home, running: Stack) -> None:
    result(f"{'dashboard':22} {running.dashboard_url}")
    result(f"{'Airflow':22} {running.airflow_url}")
    result(f"{'state and logs':22} {home.directory}")
