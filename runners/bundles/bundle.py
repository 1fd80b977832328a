"""A bundle: one file that holds a night's plan and the runner that executes it.

It is a zip that Python runs: `__main__.py`, `plan.json`, the rooms `runners` and `schema` as they
are in this checkout, and in `workloads/` the files that its requests come from. The same plan, code
and files give the same bytes.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from runners.errors import BundleError
from runners.home import REPOSITORY
from schema.data_files import WORKLOADS, DataFileError, content, data_files
from schema.nights import Bundle

ENDING = ".pyz"
PLAN = "plan.json"
ROOMS = ("runners", "schema")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every member: when a bundle was written is no part of it."""
MAIN = """\
import sys

if sys.version_info < (3, 11):
    print("runners: Python 3.11 or newer is needed, not " + sys.version, file=sys.stderr)
    sys.exit(2)

from runners.bundles.begin import begin

given = sys.argv[1:]
sys.exit(begin([sys.argv[0], *(given[1:] if given[:1] == ["execute"] else given)]))
"""


def write(bundle: Bundle, path: Path) -> None:
    """Write the file whole or not at all; raises BundleError when the place cannot be written, or
    when a file that a workload needs is absent or has changed."""
    part = path.with_name(f"{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for name, read in _members(bundle):
                member = zipfile.ZipInfo(name, EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(member, read)
        part.rename(path)
    except (OSError, DataFileError) as error:
        part.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else error
        raise BundleError(f"cannot write {path}: {why}") from error


def read(path: Path) -> Bundle:
    """The plan in a bundle; raises BundleError with what is wrong with the file."""
    try:
        with zipfile.ZipFile(path) as packed:
            return Bundle.model_validate_json(packed.read(PLAN))
    except (OSError, KeyError, zipfile.BadZipFile, ValidationError) as error:
        raise BundleError(f"{path} is no bundle: {error}; `tailwatch plan` writes one") from error


def _members(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", MAIN.encode()
    yield PLAN, bundle.model_dump_json().encode()
    for room in ROOMS:
        for path in sorted((REPOSITORY / room).rglob("*.py")):
            yield path.relative_to(REPOSITORY).as_posix(), path.read_bytes()
    for file in data_files(bundle.night.cells):
        yield f"{WORKLOADS.name}/{file.path}", content(file)
