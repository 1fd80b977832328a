"""tailwatch verdicts, digest: what is known about a night."""

import argparse
import os

from alerts.digest import Links, digest
from alerts.night import read_findings
from alerts.slack import announce
from alerts.text import as_text
from schema import session
from schema.store.cells import cells
from schema.store.judgements import judgements
from schema.store.nights import NightSummary, nights
from schema.store.nights import night as find_night
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home
from tailwatch.services import read_stack
from tailwatch.verdict_table import verdict_table


def register(commands: Commands) -> None:
    verdicts = add(
        commands,
        "verdicts",
        run_verdicts,
        "print the verdicts of a night as a table",
        "  tailwatch verdicts\n"
        "  tailwatch verdicts --night 2026-11-22-release-vllm-0.32.0-vs-0.31.0 --all",
    )
    verdicts.add_argument("--night", metavar="NAME", help="default: the newest")
    verdicts.add_argument("--all", action="store_true", help="with a row for each `no change`")
    telling = add(
        commands,
        "digest",
        run_digest,
        "print a night's digest, or post it to Slack once",
        "  tailwatch digest --night 2026-11-22\n"
        "  SLACK_BOT_TOKEN=xoxb-... SLACK_CHANNEL=C0123 tailwatch digest --night 2026-11-22 --post",
    )
    telling.add_argument("--night", required=True, metavar="NAME", help="the night to tell about")
    telling.add_argument("--post", action="store_true", help="post it unless it was posted before")


def run_verdicts(arguments: argparse.Namespace) -> int:
    show_verdicts(arguments.night, everything=arguments.all)
    return 0


def show_verdicts(name: str | None, *, everything: bool = False) -> None:
    """The table of a night (the newest without a name) on stdout."""
    with session.reading(find_database(find_home())) as store:
        chosen = find_night(store, name).name if name else _newest(nights(store, limit=1))
        slugs = {cell.key: cell.slug for cell in cells(store)}
        found = judgements(store, chosen)
    tell(f"night {chosen}")
    if found:
        result(verdict_table(found, slugs, everything=everything))
    else:
        tell("not judged yet")


def run_digest(arguments: argparse.Namespace) -> int:
    home = find_home()
    url = find_database(home)
    stack = read_stack(home.state)
    local = stack.dashboard_url if stack else None
    dashboard = os.environ.get("TAILWATCH_DASHBOARD_URL") or local
    with session.reading(url) as store:
        message = digest(read_findings(store, arguments.night), Links(dashboard=dashboard))
    result(as_text(message).rstrip())
    if arguments.post:
        tell("posted" if announce(message, url=url) else "was posted before")
    return 0


def _newest(found: list[NightSummary]) -> str:
    if not found:
        raise UsageError("no night is recorded yet: `make demo` makes one")
    return found[0].name
