"""tailwatch record."""

import argparse
from collections import Counter
from pathlib import Path

from regressions.night import judge_night
from regressions.policy import read_policy, read_shadow_policy
from regressions.silent import judge_in_shadow
from schema import session
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


def run_record(arguments: argparse.Namespace) -> int:
    absent = [str(folder) for folder in arguments.folders if not folder.is_dir()]
    if absent:
        raise UsageError(f"{', '.join(absent)} is not a folder: name the spool of a runner")
    url = find_database(find_home())
    new, broken = Counter[str](), dict[str, str]()
    for folder in arguments.folders:
        new += _record_folder(Documents(folder), url, broken)
    for name, why in broken.items():
        tell(f"not recorded: {name}: {why}")
    if not arguments.no_judge:
        for night in sorted(night for night, count in new.items() if count):
            _judge(night, url)
    return int(bool(broken))


def _record_folder(found: Documents, url: str, broken: dict[str, str]) -> Counter[str]:
    """New trials by night; what cannot be recorded is added to `broken`."""
    new, launches = Counter[str](), 0
    for name, night in found.nights():
        try:
            with session.writing(url) as store:
                record_night(store, night)
        except NightDiffers as error:
            broken[name] = str(error)
    for name, launch in found.launches():
        launches += 1
        try:
            with session.writing(url) as store:
                new[launch.night] += record(store, launch)
        except (UnknownNight, AmbiguousLaunch) as error:
            broken[name] = str(error)
    broken |= found.broken
    result(f"{launches} launches in {found.folder}, {new.total()} new trials")
    return new


def _judge(night: str, url: str) -> None:
    with session.writing(url) as store:
        judgements = judge_night(store, night, read_policy())
    result(f"{night}: {summary(judgements)}")
    tell(f"`tailwatch verdicts --night {night}` shows them")
    if shadow := read_shadow_policy():
        with session.writing(url) as store:
            judge_in_shadow(store, night, shadow)
