"""tailwatch import."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from formats.errors import Unreadable
from formats.recognise import read
from regressions.sentences import counted
from schema.imports import ImportedFile, Tool
from schema.session import writing
from schema.store.imports import record_import
from schema.trials import TrialState
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import aligned, result, tell
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home

HEADINGS = (
    *("tool", "schema", "trials", "failed", "invalid", "requests", "values", "new", "file"),
)
PROGRESS_S = 1.0
UNKEPT = "-"


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "import",
        run_import,
        "read other tools' result files into the database; what is there already changes nothing",
        "  tailwatch import results/                      every file below a folder\n"
        "  tailwatch import 'night-*.json' --as guidellm  not recognised, but known\n"
        "  tailwatch import run.jsonl --dry-run           what is in it; nothing is stored\n\n"
        "A file is kept as a whole or refused with file:line: reason; the others go on. Values\n"
        "keep their tool's definition: see docs/formats.md. Exit code 1: a file was refused.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="file, folder or quoted pattern")
    parser.add_argument(
        "--as",
        dest="tool",
        type=Tool,
        choices=list(Tool),
        metavar="TOOL",
        help=f"whose files these are, instead of recognising it: {', '.join(Tool)}",
    )
    parser.add_argument("--dry-run", action="store_true", help="read and tell, store nothing")


def run_import(arguments: argparse.Namespace) -> int:
    paths = list(dict.fromkeys(_files(arguments.files)))
    keep = None if arguments.dry_run else _keeper(find_database(find_home()))
    rows, refused = [], []
    shown = time.monotonic()
    for index, path in enumerate(paths):
        if time.monotonic() - shown >= PROGRESS_S:
            tell(f"{index} of {len(paths)}: {path}")
            shown = time.monotonic()
        try:
            file = read(str(path), _bytes(path), arguments.tool)
        except Unreadable as error:
            refused.append(f"{path}:{error.line}: {error.reason}")
        else:
            rows.append(_row(file, UNKEPT if keep is None else str(keep(file))))
    if rows:
        result("\n".join(aligned([HEADINGS, *rows])))
    tell(_summary(rows, len(paths), dry=keep is None))
    if refused:
        listed = "\n".join(refused)
        tell(f"{counted(len(refused), 'file')} refused, nothing of them was stored:\n{listed}")
    return 1 if refused else 0


def _keeper(url: str) -> Callable[[ImportedFile], int]:
    """Stores one file and tells how many of its trials are new."""

    def keep(file: ImportedFile) -> int:
        with writing(url) as store:
            return record_import(store, file)

    return keep


def _files(given: Sequence[str]) -> Iterator[Path]:
    """Raises UsageError with everything that names no file."""
    unknown = []
    for name in given:
        found = [Path(name)] if Path(name).exists() else _matching(name)
        inner = [path for one in found for path in _below(one)]
        if not inner:
            unknown.append(name)
        yield from inner
    if unknown:
        raise UsageError(f"no file is called {', '.join(unknown)}: nothing was imported")


def _matching(pattern: str) -> list[Path]:
    """Files of a pattern that no shell expanded."""
    path = Path(pattern)
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    below = (own for own in path.rglob("*") if own.is_file())
    return sorted(own for own in below if not own.name.startswith("."))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error


def _row(file: ImportedFile, new: str) -> tuple[str, ...]:
    states = [trial.state for trial in file.trials]
    requests = sum(len(trial.requests) for trial in file.trials)
    values = sum(len(trial.values) for trial in file.trials)
    counts = (len(states), states.count(TrialState.FAILED), states.count(TrialState.INVALID))
    return (
        *(file.tool, file.generation),
        *map(str, (*counts, requests, values)),
        *(new, file.name),
    )


def _summary(rows: Sequence[Sequence[str]], files: int, *, dry: bool) -> str:
    trials = counted(sum(int(row[2]) for row in rows), "trial")
    kept = "nothing was stored" if dry else f"{sum(int(row[-2]) for row in rows)} new"
    return f"{len(rows)} of {counted(files, 'file')} read, {trials}, {kept}"
