"""tailwatch shadow."""

import argparse
from pathlib import Path

from regressions.policy import SHADOW_POLICY, read_policy
from regressions.sentences import counted
from regressions.silent import judge_in_shadow
from schema import session
from schema.store.episodes import judged_nights
from schema.store.silent import two_verdicts
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "shadow",
        run_shadow,
        "judge the stored nights with another policy, silently, and say where its verdicts differ",
        "  tailwatch shadow policies/stricter.yaml\n"
        "  tailwatch shadow policies/stricter.yaml --since 2026-11-01\n\n"
        "Its verdicts are kept apart under its hash: no episode is opened and nothing is\n"
        "announced. The dashboard's page Detector shows both. Last good levels are those of the\n"
        f"policy in force. To judge every further night too, set {SHADOW_POLICY}.",
    )
    parser.add_argument("policy", type=Path, metavar="POLICY.yaml", help="a policy file")
    parser.add_argument(
        "--since", metavar="NIGHT", default="", help="the first night (default: all judged nights)"
    )


def run_shadow(arguments: argparse.Namespace) -> int:
    policy = read_policy(arguments.policy)
    url = find_database(find_home())
    with session.reading(url) as store:
        names = [name for name in judged_nights(store, after="") if name >= arguments.since]
    if not names:
        since = f" since {arguments.since}" if arguments.since else ""
        raise UsageError(f"no judged night{since}: `tailwatch verdicts` shows the newest one")
    for name in names:
        with session.writing(url) as store:
            judge_in_shadow(store, name, policy)
        tell(f"{name} judged in shadow")
    with session.reading(url) as store:
        both = [one for one in two_verdicts(store, policy.key) if one.night in names]
    apart = [one for one in both if one.told is not one.shadow]
    result(
        f"policy {policy.key}: {len(apart)} of {counted(len(both), 'verdict')} differ "
        f"over {counted(len(names), 'night')}"
    )
    return 0
