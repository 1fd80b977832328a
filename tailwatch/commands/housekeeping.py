"""tailwatch housekeeping."""

import argparse

from dags import retention
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "housekeeping",
        run_housekeeping,
        "sketch the latencies of every trial, and drop requests that were kept long enough",
        "  tailwatch housekeeping --dry-run\n  tailwatch housekeeping --keep-days 30",
    )
    parser.add_argument(
        "--keep-days",
        type=_days,
        metavar="N",
        help="a month goes when it ended this many days ago "
        f"(default: TAILWATCH_KEEP_DAYS, else {retention.KEEP_DAYS})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would be done, do nothing"
    )


def run_housekeeping(arguments: argparse.Namespace) -> int:
    try:
        days = retention.keep_days() if arguments.keep_days is None else arguments.keep_days
    except ValueError as error:
        raise UsageError(str(error)) from error
    url = find_database(find_home())
    done = retention.keep_house(days, url=url, dry_run=arguments.dry_run)
    would = "would be " if arguments.dry_run else ""
    gone = ", ".join(f"{month:%Y-%m}" for month in done.dropped) or "no month"
    result(f"{done.sketched} trials {would}sketched; requests {would}dropped: {gone}")
    tell(f"requests are kept for {days} days after their month ends")
    return 0


def _days(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days such as 90")
    return int(text)
