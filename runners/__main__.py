"""One launch by hand: JSON on standard output, log on standard error. Or all those of a bundle.

python -m runners demo:tiny-mixtral --build vllm==0.32.0
python -m runners execute BUNDLE --spool DIR
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from runners.builds.environment import EnvironmentProvisioner, InstalledEngine
from runners.builds.image import ImageProvisioner
from runners.builds.provided import Provisioner
from runners.bundles import execute
from runners.bundles.begin import begin
from runners.errors import Killed, RunnerError
from runners.home import home
from runners.launch import Options, launch
from runners.stopping import terminated_as_exception
from schema.cells import Cell
from schema.documents import BadDocument
from schema.matrix import MatrixError, load_matrix
from schema.nights import PlannedLaunch
from schema.trials import Arm, BuildSpec, TrialState

log = logging.getLogger("runners")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m runners",
        description="Run one engine launch on this host and print its trials as JSON.",
        epilog="examples:\n  python -m runners demo:tiny-mixtral --build vllm==0.32.0\n"
        "  python -m runners nightly:vllm/Meta-Llama-3.1-8B-Instruct/bf16/h100 "
        "--build vllm==0.25.1 --python /usr/bin/python3\n"
        "  python -m runners execute --help    all launches of a bundle, without a network",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "cell",
        metavar="MATRIX:TEXT",
        help="cells of a matrix (a name in matrices/ or a YAML file) whose slug contains TEXT; "
        "they must share one engine launch",
    )
    parser.add_argument(
        "--build", required=True, metavar="ENGINE==VERSION", help="such as vllm==0.32.0"
    )
    provided = parser.add_mutually_exclusive_group()
    provided.add_argument(
        "--python", help="use the engine that this interpreter can import; installs nothing"
    )
    provided.add_argument(
        "--image", action="store_true", help="use the official container image (needs docker)"
    )
    _add_launch_options(parser)
    return parser


def _add_launch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pythonpath", default="", help="with --python: where the engine lies")
    parser.add_argument("--replicate", type=int, default=0, help="draws the seed (default 0)")
    parser.add_argument("--port", type=int, help="port of the engine (default: a free one)")
    parser.add_argument(
        "--ready-within", type=float, default=900.0, metavar="S", help="start limit, s"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """0: every trial is valid. 1: a trial is invalid or failed. 2: nothing was started."""
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] == ["execute"]:
        is_bundle = len(given) > 1 and not given[1].startswith("-")
        return begin(given[1:]) if is_bundle else execute.main(given[1:])
    arguments = parser().parse_args(given)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with terminated_as_exception():
            return _run(arguments)
    except (RunnerError, BadDocument, MatrixError, ValueError) as error:
        print(f"runners: {error}", file=sys.stderr)
        return 2
    except (Killed, KeyboardInterrupt):
        print("runners: stopped; the engine is gone and nothing was kept", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    spec = BuildSpec.parse(arguments.build)
    cells = _cells(arguments.cell)
    plan = PlannedLaunch(
        night=datetime.now(UTC).date().isoformat(),
        arm=Arm.AD_HOC,
        build=spec,
        cells=cells,
        replicate=arguments.replicate,
    )
    provisioner = _provisioner(arguments)
    log.info("providing %s", spec)
    provisioner.provision(spec, cells[0].family.gpu)
    options = Options(home=home(), port=arguments.port, ready_within_s=arguments.ready_within)
    log.info("launching %s", plan.label)
    document = launch(plan, provisioner, options)
    print(document.model_dump_json(indent=1))
    for trial in document.trials:
        log.info("%s: %s %s", trial.cell.slug, trial.state, trial.reason or "")
    return int(any(trial.state is not TrialState.VALID for trial in document.trials))


def _cells(text: str) -> tuple[Cell, ...]:
    matrix, colon, part = text.partition(":")
    if not colon:
        raise ValueError(f"{text!r} is not MATRIX:TEXT, such as demo:tiny-mixtral")
    cells = [cell for cell in load_matrix(matrix).cells if part in cell.slug]
    families = sorted({cell.family.slug for cell in cells})
    if len(families) != 1:
        seen = "\n  ".join(families) or "none"
        raise ValueError(f"{text!r} must name cells of one family; it names:\n  {seen}")
    return tuple(cells)


def _provisioner(arguments: argparse.Namespace) -> Provisioner:
    if arguments.python:
        return InstalledEngine(arguments.python, arguments.pythonpath)
    return ImageProvisioner() if arguments.image else EnvironmentProvisioner(home())


if __name__ == "__main__":
    sys.exit(main())
