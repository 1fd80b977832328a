"""What a launch costs beyond the engine's start and the load: less than 3 s, or exit code 1.

    python benchmarks/trial_overhead.py
    python benchmarks/trial_overhead.py --build vllm==0.32.0 --launches 3

Without a build the engine is a fake that starts at once: then everything that is measured is the
runner's own. With one it is the real engine, which adds its answers to /metrics and /server_info.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from runners.builds.environment import EnvironmentProvisioner, InstalledEngine
from runners.builds.provided import Provisioner
from runners.home import home
from runners.launch import Options, launch
from runners.phases import LOAD
from schema.cells import Gpu
from schema.matrix import load_matrix
from schema.nights import PlannedLaunch
from schema.trials import Arm, BuildSpec, Launch, TrialState

FAKE_ENGINE = Path(__file__).parents[1] / "tests" / "runners" / "fake_engine.py"
FAKE_BUILD = "vllm==0.32.0"
LIMIT_S = 3.0


@contextmanager
def provided(build: str | None) -> Iterator[tuple[Provisioner, Path]]:
    """The provisioner and the home of its launches."""
    if build is not None:
        provisioner = EnvironmentProvisioner(home())
        provisioner.provision(BuildSpec.parse(build), Gpu.CPU)
        yield provisioner, home()
        return
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "python")
        run = shlex.join([sys.executable, "-S", "-E", str(FAKE_ENGINE)])
        python.write_text(f'#!/bin/sh\nexec {run} "$@"\n')
        python.chmod(0o755)
        yield InstalledEngine(str(python)), Path(folder)


def planned(build: str, replicate: int) -> PlannedLaunch:
    """Both workloads of a tiny model: two trials a launch."""
    matrix = load_matrix("demo")
    return PlannedLaunch(
        night="2026-01-01",
        arm=Arm.AD_HOC,
        build=BuildSpec.parse(build),
        cells=next(cells for family, cells in matrix.families().items() if not family.model.is_moe),
        replicate=replicate,
    )


def told(document: Launch) -> str:
    """One launch as a line: its overhead and the steps of it."""
    overhead = document.overhead_s or 0.0
    steps = {name: s for name, s in document.phases_s.items() if name not in LOAD}
    steps["between"] = overhead - sum(steps.values())
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in steps.items())
    return f"{overhead:.2f} s of {document.duration_s:.1f} s ({parts})"


def main(argv: Sequence[str] | None = None) -> int:
    """0: the median is below the limit. 1: it is not. 2: an engine did not serve its cells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", metavar="ENGINE==VERSION", help="a real engine (default: fake)")
    parser.add_argument("--launches", type=int, default=5)
    arguments = parser.parse_args(argv)
    seen = []
    with provided(arguments.build) as (provisioner, folder):
        for replicate in range(arguments.launches):
            plan = planned(arguments.build or FAKE_BUILD, replicate)
            document = launch(plan, provisioner, Options(home=folder))
            failed = [t.reason for t in document.trials if t.state is TrialState.FAILED]
            if failed:
                print(f"launch {replicate}: {failed[0]}", file=sys.stderr)
                return 2
            seen.append(document.overhead_s or 0.0)
            print(f"launch {replicate}: {told(document)}", flush=True)
    print(f"overhead: median {median(seen):.2f} s, {min(seen):.2f} to {max(seen):.2f} s, "
          f"limit {LIMIT_S:.0f} s")  # fmt: skip
    return int(median(seen) >= LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
