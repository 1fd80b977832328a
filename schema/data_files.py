"""Where the files of workloads lie on this host, and whether they are still what they were."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from schema.cells import Cell
from schema.request_files import DataFile

WORKLOADS = Path(__file__).parents[1] / "workloads"
"""The files of this repository's own matrices."""


class DataFileError(Exception):
    """A file that a workload needs is not here, or is another one by now."""


def folders() -> tuple[Path, ...]:
    """Where files are looked for, in this order: TAILWATCH_WORKLOADS, the repository's own."""
    given = os.environ.get("TAILWATCH_WORKLOADS")
    return (Path(given), WORKLOADS) if given else (WORKLOADS,)


def locate(path: str) -> Path | None:
    """The first file of that path below the folders."""
    found = (folder / path for folder in folders())
    return next((place for place in found if place.is_file()), None)


def absent(path: str) -> str:
    """What to say and do about a file that is nowhere."""
    looked = " or ".join(map(str, folders()))
    return f"no file {path} in {looked}; put it there, or name its folder by TAILWATCH_WORKLOADS"


def content(file: DataFile) -> bytes:
    """What is in the file; raises DataFileError when it is absent or not the one that is meant."""
    place = locate(file.path)
    if place is None:
        raise DataFileError(absent(file.path))
    try:
        read = place.read_bytes()
    except OSError as error:
        raise DataFileError(f"{place} cannot be read: {error.strerror}") from error
    if (found := hashlib.sha256(read).hexdigest()) != file.sha256:
        raise DataFileError(
            f"{place} is not the file that was planned with: its SHA-256 is {found}, planned was "
            f"{file.sha256}; bring that file here, or plan again"
        )
    return read


def data_files(cells: Iterable[Cell]) -> tuple[DataFile, ...]:
    """Every file that a host needs to run these cells, each path once."""
    found = {}
    for cell in cells:
        for file in (cell.workload.file, cell.workload.file and cell.workload.file.tokenizer):
            if file is not None:
                found[file.path] = DataFile(path=file.path, sha256=file.sha256)
    return tuple(found[path] for path in sorted(found))
