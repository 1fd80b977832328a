"""Airflow on this machine: its settings, its processes, its metadata database, its pools.

`airflow standalone` is not used: ending it leaves the scheduler behind.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from runners.device import CPU_PLACES
from schema.cells import Gpu
from schema.words import digest
from tailwatch.airflow_client import AirflowClient
from tailwatch.errors import ServiceDied
from tailwatch.home import REPOSITORY, Home
from tailwatch.ports import LOOPBACK

COMMANDS: dict[str, list[str]] = {
    "airflow-api-server": ["api-server"],
    # Logs are read from the folder they are written to: no log server, no further port.
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
}
"""No triggerer: nothing here is deferrable."""

DAGS_FOLDER = "AIRFLOW__CORE__DAGS_FOLDER"
STARTS_WITHIN_S = 240.0  # 15-40 s are usual; the first start compiles its modules
STOPS_WITHIN_S = 15.0  # 3-12 s are usual
POOLS = dict.fromkeys(Gpu, 1) | {Gpu.CPU: CPU_PLACES}
"""Launches at once by GPU kind. On a CPU host they start together and are measured alone."""
PARALLELISM = 4


def command(name: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *COMMANDS[name]]


def settings(home: Home, *, port: int, metadata_url: str) -> dict[str, str]:
    """The variables that make an Airflow of our own."""
    keys = _secrets(home.airflow / "secrets.json")
    url = f"http://{LOOPBACK}:{port}"
    return {
        "AIRFLOW_HOME": str(home.airflow),
        DAGS_FOLDER: os.environ.get(DAGS_FOLDER) or str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",  # the loopback address only
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": keys["secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_url,
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",  # new files; known ones rarely change,
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # and parsing costs a core
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home.logs / "parsing"),
        # A task that was killed is noticed after half a minute instead of five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        # A task that was marked failed is told so with its next heartbeat: after 1 s instead of 5,
        # so that its engine is gone within 5.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
    }


def migrate(home: Home, environment: Mapping[str, str]) -> None:
    """Bring the metadata database up to date, once for each Airflow and database."""
    done = home.airflow / "migrated"
    state = digest([version("apache-airflow"), environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]])
    if done.exists() and done.read_text() == state:
        return
    log = home.logs / "airflow-migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        code = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=environment,
            cwd=home.airflow,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code:
        raise ServiceDied(f"Airflow's metadata database could not be migrated: see {log}")
    done.write_text(state)


def ensure_pools(client: AirflowClient) -> None:
    """Make the pools that are absent; a pool that somebody changed stays as it is."""
    for name, slots in POOLS.items():
        client.ensure_pool(name, slots, "engines at once on this kind of GPU")


def _secrets(path: Path) -> dict[str, str]:
    """Keys made once and readable by their owner alone."""
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = {"secret_key": secrets.token_urlsafe(48), "jwt_secret": secrets.token_urlsafe(48)}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(made, file)
    return made
