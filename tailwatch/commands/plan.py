"""tailwatch plan."""

import argparse
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dags.planning import plan_nightly, plan_release
from runners.builds.provided import variant_of
from runners.bundles import bundle
from schema.cells import Cell, Gpu
from schema.matrix import Matrix, load_matrix
from schema.nights import Bundle, Night, PlannedLaunch
from schema.trials import BuildSpec
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.errors import UsageError
from tailwatch.release import require_night_name

RELEASE_LAUNCHES = 5
EXAMPLES = """\
  tailwatch plan hopper --gpu h100 --build vllm==0.25.1 --build sglang==0.5.17 -o h100.pyz
  tailwatch plan hopper --gpu h200 --build vllm==0.22.1 --build vllm==0.25.1 --launches 5 \\
      --cells Llama-3.1-8B -o release.pyz
  then, on a host without a network:
      python3 h100.pyz execute --spool out --engine vllm==0.25.1=/tmp/engine
  and back here: tailwatch record out

One build an engine makes a nightly: every family once, then all of them again, `--launches` times.
Two builds of one engine make a release, the first one being the baseline; its launches are
interleaved within each family as baseline, contender, contender, baseline (ABBA), so that a drift
of the host meets both alike. The same build twice is an A/A: what it finds is a false alarm. A
build may be altered by a variant, +NAME behind its version: +uniform against +normal prices uneven
experts, and matrix `experts` counts which experts are chosen, in launches that time nothing."""


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "plan",
        run_plan,
        "write a bundle: one file with the launches of a night and the runner that makes them, "
        "for a host without a network",
        EXAMPLES,
    )
    parser.add_argument("matrix", metavar="MATRIX", help="a name in matrices/, or a file")
    parser.add_argument(
        "--build",
        action="append",
        required=True,
        metavar="ENGINE==VERSION",
        help="what to launch; one an engine, or two of one engine: baseline, contender",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="BUNDLE", help="the file to write"
    )
    _add_choices(parser)


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cells", nargs="+", default=[], metavar="TEXT", help="only cells whose slug contains it"
    )
    parser.add_argument(
        "--gpu", choices=[gpu.value for gpu in Gpu], help="only cells of this kind of device"
    )
    parser.add_argument(
        "--launches",
        type=int,
        metavar="N",
        help=f"launches of a family and build (the matrix's; {RELEASE_LAUNCHES} for a release)",
    )
    parser.add_argument(
        "--night", metavar="NAME", help="default: made of today's date and the rest"
    )


def run_plan(arguments: argparse.Namespace) -> int:
    if arguments.launches is not None and arguments.launches < 1:
        raise UsageError("--launches must be 1 or more")
    if arguments.night is not None:
        require_night_name(arguments.night)
    matrix = load_matrix(arguments.matrix)
    cells = [cell for cell in matrix.matching(arguments.cells) if _is_of(cell, arguments.gpu)]
    try:
        builds = [BuildSpec.parse(text) for text in arguments.build]
        for build in builds:
            variant_of(build)  # told here, before the bundle is carried anywhere
        night, launches = _planned(arguments, matrix, cells, builds)
    except ValueError as error:
        raise UsageError(str(error)) from error
    bundle.write(Bundle(night=night, launches=tuple(launches)), arguments.output)
    _describe(night, launches)
    size = arguments.output.stat().st_size
    result(f"{arguments.output}: {len(launches)} launches, {size / 1e3:.0f} kB")
    return 0


def _planned(
    arguments: argparse.Namespace,
    matrix: Matrix,
    cells: Sequence[Cell],
    builds: Sequence[BuildSpec],
) -> tuple[Night, list[PlannedLaunch]]:
    today = datetime.now(UTC).date().isoformat()
    usual = "-".join(filter(None, [today, matrix.name, arguments.gpu]))
    name, launches = arguments.night, arguments.launches
    if max(Counter(build.engine for build in builds).values()) == 1:
        return plan_nightly(matrix, builds, name=name or usual, cells=cells, launches=launches)
    if len(builds) != 2:
        raise ValueError("a release sets two builds of one engine against each other, no others")
    baseline, contender = builds
    versus = f"{contender.engine}-{contender.version}-vs-{baseline.version}"
    return plan_release(
        matrix,
        cells,
        name=name or f"{usual}-{versus}",
        contender=contender,
        baseline=baseline,
        launches=launches or RELEASE_LAUNCHES,
    )


def _is_of(cell: Cell, gpu: str | None) -> bool:
    return gpu is None or cell.family.gpu == gpu


def _describe(night: Night, launches: Sequence[PlannedLaunch]) -> None:
    tell(f"night {night.name} ({night.kind}), in this order:")
    for number, one in enumerate(launches, 1):
        tell(f"  {number:3} {one.label}, {len(one.cells)} cells")
    cells = [cell for one in launches for cell in one.cells]
    open_s = sum(
        cell.workload.requests / cell.workload.rate for cell in cells if cell.workload.rate
    )
    tell(
        f"{len(cells)} trials. Their open loops send for {open_s / 60:.1f} min; closed loops and "
        "starts come on top, and their duration is known when the first launch is over"
    )
