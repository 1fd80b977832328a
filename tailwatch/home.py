"""Where the local stack keeps what it must remember."""

from dataclasses import dataclass
from pathlib import Path

import runners.home

REPOSITORY = runners.home.REPOSITORY


@dataclass(frozen=True, kw_only=True)
class Home:
    """The state directory and the places in it. Deleting it forgets everything."""

    directory: Path

    @property
    def postgres(self) -> Path:
        return self.directory / "postgres"

    @property
    def airflow(self) -> Path:
        return self.directory / "airflow"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def spool(self) -> Path:
        """Where runners leave their documents until they are recorded."""
        return self.directory / "spool"

    @property
    def state(self) -> Path:
        """What is running, for `down` and `status`."""
        return self.directory / "stack.json"


def find_home() -> Home:
    """TAILWATCH_HOME, else `.tailwatch` in the repository: the same place as the runners'."""
    return Home(directory=runners.home.home().resolve())
