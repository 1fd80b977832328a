"""The spool: finished documents wait here until the database has them."""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from runners.errors import SpoolError
from schema.nights import Night
from schema.trials import Launch

ENDING = ".launch.json.gz"
PLAN_ENDING = ".night.json"


def keep(document: Launch, spool: Path) -> Path:
    """Write a document whole or not at all; keeping it twice changes nothing."""
    path = spool / document.night / f"{document.key}{ENDING}"
    _write(path, gzip.compress(document.model_dump_json().encode(), compresslevel=6, mtime=0))
    return path


def keep_plan(night: Night, spool: Path) -> Path:
    """Write the plan of a night, which is recorded before its launches."""
    path = spool / night.name / f"{night.name}{PLAN_ENDING}"
    _write(path, night.model_dump_json().encode())
    return path


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as raw:
            raw.write(content)
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the folder itself may be missing or no folder
            part.unlink()
        raise SpoolError(
            f"cannot keep a launch in {path.parent}: {error.strerror}; nothing of it was stored. "
            "Make room or name another folder with TAILWATCH_HOME, then run it again"
        ) from error


def read(path: Path) -> Launch:
    """One document; raises SpoolError that names the file and what is wrong with it."""
    try:
        return Launch.model_validate_json(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValidationError) as error:
        raise SpoolError(f"{path}: not a launch document: {error}") from error


class Growing:
    """The document of a launch that goes on, kept anew after each trial.

    Every version of it is whole. The one before is removed after the next one is kept: whoever is
    killed in between leaves both, and recording them keeps each trial once.
    """

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self._path: Path | None = None

    def keep(self, document: Launch) -> None:
        """Put the document in place of its earlier version."""
        path = keep(document, self.spool)
        if self._path not in (None, path):
            self._path.unlink(missing_ok=True)
        self._path = path


def waiting(spool: Path, night: str | None = None) -> Iterator[Path]:
    """Every document in the spool, or those of one night; oldest night first."""
    return iter(sorted(spool.glob(f"{night or '*'}/*{ENDING}")))
