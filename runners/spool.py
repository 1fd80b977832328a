"""The spool: finished documents wait here until the database has them."""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from runners.errors import SpoolError
from schema.trials import Launch

ENDING = ".launch.json.gz"


def keep(document: Launch, spool: Path) -> Path:
    """Write a document whole or not at all; keeping it twice changes nothing."""
    folder = spool / document.night
    path = folder / f"{document.key}{ENDING}"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
                packed.write(document.model_dump_json().encode())
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the folder itself may be missing or no folder
            part.unlink()
        raise SpoolError(
            f"cannot keep a launch in {folder}: {error.strerror}; nothing of it was stored. "
            "Make room or name another folder with TAILWATCH_HOME, then run it again"
        ) from error
    return path


def read(path: Path) -> Launch:
    """One document; raises SpoolError that names the file and what is wrong with it."""
    try:
        return Launch.model_validate_json(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValidationError) as error:
        raise SpoolError(f"{path}: not a launch document: {error}") from error


def waiting(spool: Path, night: str | None = None) -> Iterator[Path]:
    """Every document in the spool, or those of one night; oldest night first."""
    return iter(sorted(spool.glob(f"{night or '*'}/*{ENDING}")))
