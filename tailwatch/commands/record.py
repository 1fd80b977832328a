"""tailwatch record."""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from regressions.night import judge_by_both
from schema import session
from schema.judgements import Judgement
from schema.store.launches import AmbiguousLaunch, record
from schema.store.nights import NightDiffers, UnknownNight, record_night
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.documents import Documents
from tailwatch.errors import UsageError
from tailwatch.home import find_home
from tailwatch.verdict_table import summary


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "record",
        run_record,
        "record plans of nights and launches that lie in folders, and judge the nights that they "
        "belong to; what is recorded already changes nothing",
        "  tailwatch record .tailwatch/spool\n"
        "  tailwatch record out-h100 out-h200    as carried off from hosts without a network\n\n"
        "Reads *.night.json and *.launch.json below each folder, also as .json.gz and .json.xz,\n"
        "and inside of .tar, .tar.gz, .tgz, .tar.xz and .zip. A document that cannot be recorded\n"
        "is named with its reason, the others are recorded, and the exit code is 1.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folder of documents")
    parser.add_argument("--no-judge", action="store_true", help="record only")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of the documents in a folder."""

    launches: int
    new: Counter[str]
    """Trials that were not known before, by night."""
    broken: Mapping[str, str]
    """What could not be recorded, by name, and why."""


def run_record(arguments: argparse.Namespace) -> int:
    require_folders(arguments.folders)
    url = find_database(find_home())
    new, broken = Counter[str](), False
    for folder in arguments.folders:
        found = record_folder(folder, url)
        result(f"{found.launches} launches in {folder}, {found.new.total()} new trials")
        for name, why in found.broken.items():
            tell(f"not recorded: {name}: {why}")
        new += found.new
        broken |= bool(found.broken)
    if not arguments.no_judge:
        for night, judgements in judge_nights(new, url):
            result(f"{night}: {summary(judgements)}")
            tell(f"`tailwatch verdicts --night {night}` shows them")
    return int(broken)


def require_folders(folders: Iterable[Path]) -> None:
    """Raises UsageError that names every one that is no folder."""
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if absent:
        raise UsageError(f"{', '.join(absent)} is not a folder: name the spool of a runner")


def record_and_judge(folders: Iterable[Path], url: str) -> dict[str, str]:
    """What could not be recorded, by name, and why; all else is, and its nights are judged."""
    found = [record_folder(folder, url) for folder in folders]
    for _ in judge_nights(sum((own.new for own in found), Counter[str]()), url):
        pass
    return {name: why for own in found for name, why in own.broken.items()}


def record_folder(folder: Path, url: str) -> Recorded:
    """Plans first, then launches, each in a transaction of its own."""
    documents = Documents(folder)
    new, broken, launches = Counter[str](), dict[str, str](), 0
    for name, night in documents.nights():
        try:
            with session.writing(url) as store:
                record_night(store, night)
        except NightDiffers as error:
            broken[name] = str(error)
    for name, launch in documents.launches():
        launches += 1
        try:
            with session.writing(url) as store:
                new[launch.night] += record(store, launch)
        except (UnknownNight, AmbiguousLaunch) as error:
            broken[name] = str(error)
    return Recorded(launches=launches, new=new, broken=broken | documents.broken)


def judge_nights(new: Mapping[str, int], url: str) -> Iterator[tuple[str, list[Judgement]]]:
    """Judge the nights that got new trials, each as soon as the next one is asked for."""
    for night in sorted(night for night, count in new.items() if count):
        yield night, judge_by_both(night, url)
