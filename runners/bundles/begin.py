"""From a bundle to its own runner: unpack the code, then become it. Needs nothing but Python.

The runner starts processes of its own modules, which a zip cannot offer: it runs from a folder,
`TAILWATCH_HOME/runners/DIGEST`. A checkout that is asked to execute a bundle does the same, so that
the code that planned is always the code that measures.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

NEEDS = ("httpx", "packaging", "pydantic")
"""What a runner imports; vLLM and SGLang bring it. pynvml is needed only to see a GPU."""
HOME = Path("~/.cache/tailwatch")
INNER = "runners.bundles.execute"


def begin(given: Sequence[str]) -> int:
    """Execute the bundle that comes first. Returns only when it cannot: 2, with the reason."""
    bundle, arguments = Path(given[0]), list(given[1:])
    home = Path(os.environ.get("TAILWATCH_HOME") or HOME.expanduser()).absolute()
    try:
        code = _unpacked(bundle, home / "runners")
        path = [str(code), *filter(None, [os.environ.get("PYTHONPATH")]), *_borrowed(arguments)]
        environment = {"TAILWATCH_HOME": str(home), "PYTHONPATH": os.pathsep.join(path)}
        command = [sys.executable, "-P", "-m", INNER, str(bundle), *arguments]
        os.execve(sys.executable, command, {**os.environ, **environment})
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"runners: {bundle}: {error}", file=sys.stderr)  # noqa: T201
        return 2


def _unpacked(bundle: Path, folder: Path) -> Path:
    """The bundle's code in a folder of its own, named by its content."""
    with bundle.open("rb") as raw:
        place = folder / hashlib.file_digest(raw, "sha256").hexdigest()[:16]
    if not place.is_dir():
        part = place.with_suffix(f".{os.getpid()}.part")
        with zipfile.ZipFile(bundle) as packed:
            packed.extractall(part)
        try:
            part.rename(place)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    return place


def _borrowed(arguments: Sequence[str]) -> list[str]:
    """Folders of engines, where this interpreter alone has not all that a runner needs."""
    if not _missing(None):
        return []
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--engine", action="append", default=[])
    named = finder.parse_known_args(arguments)[0].engine
    places = [place for one in named for place in one.split("=", 3)[3:]]  # ENGINE==VERSION=PLACE
    folders = [place for place in places if Path(place).is_dir()]
    if missing := _missing(folders):
        raise ValueError(
            f"{sys.executable} cannot import {', '.join(missing)}: name the folder of an engine "
            "with --engine BUILD=FOLDER, or let PYTHONPATH name where they lie"
        )
    return folders


def _missing(folders: Sequence[str] | None) -> list[str]:
    before = list(sys.path)
    sys.path += folders or []
    try:
        return [name for name in NEEDS if importlib.util.find_spec(name) is None]
    finally:
        sys.path[:] = before
