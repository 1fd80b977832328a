"""tailwatch measurements."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from regressions.policy import read_policy
from regressions.sentences import counted
from schema import session
from tailwatch.commands.parsing import Commands, add
from tailwatch.commands.record import record_and_judge, require_folders
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home
from tailwatch.measurements.document import document
from tailwatch.measurements.found import find
from tailwatch.postgres import running_postgres

ALL_NIGHTS = 1_000_000


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "measurements",
        run_measurements,
        "write what was measured as one document with tables and pictures: loads, memory, noise, "
        "comparisons, sparse beside dense, published figures",
        "  tailwatch measurements -o measurements.md              what the database holds\n"
        "  tailwatch measurements --nights 30 -o measurements.md  its latest nights\n"
        "  tailwatch measurements --record examples -o docs/measurements.md\n\n"
        "Pictures lie in images/ beside the document.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.md")
    parser.add_argument(
        "--record",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="take what lies in these folders instead, by a throw-away Postgres",
    )
    parser.add_argument(
        "--nights", type=int, default=ALL_NIGHTS, metavar="N", help="the latest N (all of them)"
    )


def run_measurements(arguments: argparse.Namespace) -> int:
    path: Path = arguments.output
    if path.suffix != ".md" or not path.parent.is_dir():
        raise UsageError(f"{path} is not a file FILE.md in a folder that exists")
    if arguments.nights < 1:
        raise UsageError(f"--nights {arguments.nights}: at least 1")
    require_folders(arguments.record or ())
    with _database(arguments.record or ()) as url:
        write(url, path, command_of(arguments), arguments.nights)
    return 0


def command_of(arguments: argparse.Namespace) -> str:
    """What was typed, as the document tells it."""
    nights = f" --nights {arguments.nights}" if arguments.nights < ALL_NIGHTS else ""
    folders = " ".join(["", "--record", *map(str, arguments.record)]) if arguments.record else ""
    return f"tailwatch measurements{folders}{nights} -o {arguments.output}"


def write(url: str, path: Path, command: str, nights: int = ALL_NIGHTS) -> None:
    """The document and its pictures; raises UsageError where no trial is valid."""
    from tailwatch.measurements.pictures import draw  # Matplotlib takes long to load

    with session.reading(url) as store:
        found = find(store, read_policy(), nights, tell)
    if not found.levels:
        raise UsageError("no night has a valid trial yet: there is nothing to tell")
    tell("drawing")
    drawn = draw(found, path.parent / "images", path.stem)
    pictures = {own.stem.rpartition("-")[2]: f"images/{own.name}" for own in drawn}
    path.write_text(document(found, pictures, command))
    result(
        f"{counted(len(found.trials), 'trial')} of {counted(len(found.nights), 'night')} in {path}"
    )


@contextmanager
def _database(folders: Sequence[Path]) -> Iterator[str]:
    """The address of the database in use, or of one made of the documents in folders."""
    if not folders:
        yield find_database(find_home())
        return
    with (
        tempfile.TemporaryDirectory() as directory,
        running_postgres(Path(directory) / "measurements") as url,
    ):
        session.migrate(url)
        tell("recording")
        if broken := record_and_judge(folders, url):
            listed = "\n".join(f"  {name}: {why}" for name, why in broken.items())
            raise UsageError(
                f"the figures would not be whole, for these are not recorded:\n{listed}"
            )
        yield url
