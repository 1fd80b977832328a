"""Execute a bundle: every launch whose trials are not in the spool, one after the other.

Progress goes to standard error. It may be stopped in any way at any moment: each finished trial is
in the spool, no engine is left, and the next call goes on.
"""

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runners import spool
from runners.bundles.bundle import read
from runners.bundles.engines import ProvidedEngines, devices_here, obstacle
from runners.bundles.guards import STOP_S, alone, ended_by
from runners.bundles.remaining import Made, Remaining, longest_s, remaining, spoiled
from runners.errors import Killed, RunnerError
from runners.home import home
from runners.launch import Options, launch
from runners.stopping import terminated_as_exception
from schema.nights import PlannedLaunch

log = logging.getLogger("runners")

DONE, FAILED, WRONG, MORE, STOPPED = 0, 1, 2, 3, 130
EPILOG = """\
examples:
  python3 BUNDLE execute --spool out --engine vllm==0.25.1=/tmp/engine
  python3 BUNDLE execute --spool out --engine vllm==0.32.0=/opt/vllm/bin/python --within 540

A launch whose build is not provided, or whose GPU is not here, is left for another call. Carry
the spool to where the database is: `tailwatch record out` stores it. Further calls need it too.
Caches, logs and the unpacked runner lie in TAILWATCH_HOME, ~/.cache/tailwatch unless it is set.

Exit code 0: every cell is done; 1: so, but some without a valid trial; 2: nothing was started;
3: there is more to do, call it again; 130: stopped.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m runners execute",
        description="Make the launches of a bundle that its spool has not yet. Needs no network.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, help="file that `tailwatch plan` wrote")
    parser.add_argument(
        "--spool", type=Path, required=True, metavar="DIR", help="where documents are kept"
    )
    parser.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="BUILD=PLACE",
        help="an engine that is on this host: the folder of its packages, or the interpreter of "
        "its environment; without =PLACE what --python imports. Repeat it for every build",
    )
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter for folders (default: this one)"
    )
    parser.add_argument(
        "--within",
        type=float,
        metavar="S",
        help="begin no launch that would not end within so many seconds; stop when they are over",
    )
    _add_limits(parser)
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--attempts",
        type=int,
        default=3,
        metavar="N",
        help="trials of a cell that is not valid, each on a launch of its own (default 3)",
    )
    parser.add_argument(
        "--ready-within", type=float, default=900.0, metavar="S", help="start limit, s (900)"
    )


@dataclass(kw_only=True)
class Work:
    """A bundle on this host."""

    planned: Sequence[PlannedLaunch]
    here: Sequence[PlannedLaunch]
    """Those whose build and GPU are on this host."""
    spool: Path
    engines: ProvidedEngines
    attempts: int
    ready_within_s: float
    until: float | None
    """Of time.monotonic: when nothing of ours may run any more."""
    made: list[Made] = field(default_factory=list)

    def remaining(self) -> list[Remaining]:
        """What is left and can be done here."""
        return remaining(self.here, self.made, self.attempts)


def main(argv: Sequence[str] | None = None) -> int:
    """See EPILOG for exit codes."""
    arguments = parser().parse_args(argv)
    began = time.monotonic()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with terminated_as_exception(), alone(arguments.spool):
            return _execute_in_time(_prepared(arguments, began))
    except (RunnerError, ValueError) as error:
        _say(f"{error}")
        return WRONG
    except (Killed, KeyboardInterrupt):
        _say("stopped; the engine is gone and every finished trial is kept. Call it again to go on")
        return STOPPED


def _prepared(arguments: argparse.Namespace, began: float) -> Work:
    """Raises before anything starts when an engine is not what it is said to be."""
    if arguments.attempts < 1:
        raise ValueError("--attempts must be 1 or more")
    bundle = read(arguments.bundle)
    engines = ProvidedEngines(arguments.engine, arguments.python)
    present = devices_here()
    why = [obstacle(one, engines, present) for one in bundle.launches]
    for reason, count in Counter(filter(None, why)).items():
        log.info("left out: %d launches, %s", count, reason)
    here = [one for one, reason in zip(bundle.launches, why, strict=True) if reason is None]
    for one in here:
        engines.provision(one.build, one.cells[0].family.gpu)
    spool.keep_plan(bundle.night, arguments.spool)
    waiting = spool.waiting(arguments.spool, bundle.night.name)
    return Work(
        planned=bundle.launches,
        here=here,
        spool=arguments.spool,
        engines=engines,
        attempts=arguments.attempts,
        ready_within_s=arguments.ready_within,
        until=None if arguments.within is None else began + arguments.within,
        made=[Made.of(spool.read(path)) for path in waiting],
    )


def _execute_in_time(work: Work) -> int:
    """As _execute; a launch that goes on when the time is up is stopped, its trials are kept."""
    try:
        with ended_by(work.until):
            return _execute(work)
    except Killed:
        if work.until is None or time.monotonic() < work.until - STOP_S:
            raise
        log.info("the time is up; the engine is gone and every finished trial is kept")
        return MORE


def _execute(work: Work) -> int:
    """Launch after launch until nothing is left or the time is too short."""
    made = 0
    while left := work.remaining():
        if (short := _too_short(work, left[0])) is not None:
            log.info("%d launches left; %s", len(left), short)
            return MORE
        made += 1
        _announce(work, left, made)
        _make(work, left[0])
    rest = remaining(work.planned, work.made, work.attempts)
    spoilt = list(spoiled(work.planned, work.made, work.attempts))
    for name in spoilt:
        log.warning("no valid trial: %s", name)
    log.info("%d launches made, %d left for other calls", made, len(rest))
    return MORE if rest else FAILED if spoilt else DONE


def _make(work: Work, one: Remaining) -> None:
    growing = spool.Growing(work.spool)
    options = Options(home=home(), ready_within_s=work.ready_within_s, grown=growing.keep)
    document = launch(one.planned, work.engines, options, attempt=one.attempt)
    growing.keep(document)
    work.made.append(Made.of(document))
    for trial in document.trials:
        log.info("%s: %s %s", trial.cell.slug, trial.state, trial.reason or "")


def _announce(work: Work, left: Sequence[Remaining], number: int) -> None:
    one, total = left[0], number - 1 + len(left)
    known = [longest_s(each.family, work.made) for each in left]
    estimate = sum(seconds for seconds in known if seconds is not None)
    ends = f"all of it within about {estimate / 60:.0f} min" if estimate else "duration not known"
    again = f", attempt {one.attempt}" if one.attempt > 1 else ""
    cells = len(one.planned.cells)
    log.info("%d of %d: %s, %d cells%s; %s", number, total, one.planned.label, cells, again, ends)


def _too_short(work: Work, one: Remaining) -> str | None:
    """Why the launch should not begin now; the first of all begins in any case."""
    expected = longest_s(one.family, work.made)
    if work.until is None or expected is None:
        return None
    left_s = work.until - STOP_S - time.monotonic()
    if expected <= left_s:
        return None
    return f"the next may take {expected:.0f} s, {max(0.0, left_s):.0f} s are left"


def _say(text: str) -> None:
    print(f"runners: {text}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
