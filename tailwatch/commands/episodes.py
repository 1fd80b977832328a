"""tailwatch episodes, episode: what is open, and what people say about it."""

import argparse
from datetime import date

from regressions.people import CLOSING, Refused, say
from schema import session
from schema.episodes import Episode, EpisodeState
from schema.store.cells import cells
from schema.store.episodes import episode, episodes
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.episode_text import episode_table, episode_text
from tailwatch.errors import UsageError
from tailwatch.home import find_home

_CLOSED_AS = {state.value.replace(" ", "-"): state for state in CLOSING}
_NOTHING_OPEN = "no episode is open; --all shows the closed ones"


def register(commands: Commands) -> None:
    listing = add(
        commands,
        "episodes",
        run_episodes,
        "list the open episodes: one cause a line, with its state, attribution and owner",
        "  tailwatch episodes\n  tailwatch episodes --all",
    )
    listing.add_argument("--all", action="store_true", help="the closed ones too")
    _register_episode(commands)


def _register_episode(commands: Commands) -> None:
    parser = add(
        commands,
        "episode",
        run_episode,
        "show one episode with its members and history, or say something about it",
        "  tailwatch episode 4f1c\n"
        "  tailwatch episode 4f1c --acknowledge --assign kim --due 2026-12-01 --by mira "
        "--reason 'the new sampler, fix is under review'\n"
        "  tailwatch episode 4f1c --expect --by mira --reason 'the price of the fix of CVE-...'\n"
        "  tailwatch episode 4f1c --close not-reproduced --by kim --reason 'a loose fan cable'",
    )
    parser.add_argument("key", metavar="KEY", help="its key, or enough of its beginning")
    what = parser.add_mutually_exclusive_group()
    for flag, state, help in (
        ("--acknowledge", EpisodeState.ACKNOWLEDGED, "somebody knows about it"),
        ("--expect", EpisodeState.EXPECTED, "it stays so: the new level becomes the baseline"),
        ("--infrastructure", EpisodeState.INFRASTRUCTURE, "the host's people have to act"),
        ("--confirm", EpisodeState.CONFIRMED, "it is real; opens a closed one again"),
    ):
        what.add_argument(flag, dest="state", action="store_const", const=state, help=help)
    what.add_argument("--close", choices=list(_CLOSED_AS), help="it is over, and how")
    parser.add_argument("--assign", metavar="WHO", help="who looks after it")
    parser.add_argument("--due", type=_day, metavar="DATE", help="until when, as 2026-12-01")
    parser.add_argument("--link", metavar="URL", help="where the work on it is followed")
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="why; whatever is said needs one"
    )
    parser.add_argument("--by", metavar="WHO", default="", help="who says it")


def run_episodes(arguments: argparse.Namespace) -> int:
    with session.reading(find_database(find_home())) as store:
        found = episodes(store, everything=arguments.all)
    if found:
        result(episode_table(found))
    else:
        tell("no episode was ever opened" if arguments.all else _NOTHING_OPEN)
    return 0


def run_episode(arguments: argparse.Namespace) -> int:
    url = find_database(find_home())
    state = _CLOSED_AS[arguments.close] if arguments.close else arguments.state
    said = (state, arguments.assign, arguments.due, arguments.link, arguments.reason, arguments.by)
    if any(said):
        _say(url, arguments, state)
    with session.reading(url) as store:
        slugs = {cell.key: cell.slug for cell in cells(store)}
        result(episode_text(episode(store, arguments.key), slugs))
    return 0


def _say(url: str, arguments: argparse.Namespace, state: EpisodeState | None) -> Episode:
    try:
        with session.writing(url) as store:
            return say(
                store,
                arguments.key,
                by=arguments.by,
                reason=arguments.reason,
                state=state,
                owner=arguments.assign,
                due=arguments.due,
                link=arguments.link,
            )
    except Refused as refused:
        raise UsageError(str(refused)) from refused


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-12-01") from None
