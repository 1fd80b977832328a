"""How true our load client is, and its peers: each against a server whose truth is known.

    python benchmarks/client_fidelity.py --runs 5
    python benchmarks/client_fidelity.py --quick --tools tailwatch,aiperf

The reference server (benchmarks/reference_server.py) has one core, the tool another. Every tool is
driven through its own command line, with one request per stream, and what it wrote down about each
request is set against the truth. A run measures each tool alone with one stream, at the reference
point (64 streams x 100 tokens/s) and on a ladder of rates, up to the first at which the 99th
percentile of its error passes 1 ms or its requests are lost; later runs begin at the rung where the
first one ended. Warm-up requests are not counted. Each result is kept in a file as soon as it is
there: a benchmark that was interrupted goes on where it was.

Environments are made on first use (about 15 GB: two of the tools need PyTorch) and stay.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fidelity import environments, report, tokenizer
from fidelity.measuring import Bench, measure
from fidelity.points import ALONE, REFERENCE, RUNGS, Point, next_rung
from fidelity.tools.aiperf import AIPERF
from fidelity.tools.guidellm import GUIDELLM
from fidelity.tools.ours import OURS
from fidelity.tools.sglang import SGLANG
from fidelity.tools.tool import Tool
from fidelity.tools.vllm import VLLM

from runners.home import home

TOOLS = {
    "tailwatch": OURS,
    "vllm": VLLM,
    "sglang": SGLANG,
    "guidellm": GUIDELLM,
    "aiperf": AIPERF,
}
DRAW = Path(__file__).parent / "fidelity" / "picture.py"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "fidelity.png"
SECONDS, QUICK_SECONDS = 3.0, 1.0
CALLS, OUR_CALLS = 4.5, 5.5
"""Of a peer in a run: alone, at the reference, and on a few rungs. Ours climbs higher."""


class Results:
    """Every measurement so far, a JSON line each."""

    def __init__(self, file: Path) -> None:
        self.file = file
        lines = file.read_text().splitlines() if file.is_file() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def find(self, key: dict[str, Any]) -> dict[str, Any] | None:
        return next((row for row in self.rows if row.items() >= key.items()), None)

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as out:
            out.write(json.dumps(row) + "\n")


class Benchmark:
    """Runs over tools and points; knows what was measured already."""

    def __init__(self, results: Results, folder: Path, given: argparse.Namespace) -> None:
        self.results, self.folder = results, folder
        self.seconds = QUICK_SECONDS if given.quick else SECONDS
        self.bench = Bench(
            tokenizer=tokenizer.write(folder / "tokenizer"),
            work=folder / "work",
            server_core=given.server_core,
            tool_core=given.tool_core,
        )

    def run(self, tool: Tool, number: int) -> None:
        """One tool's part of one run."""
        self.at(tool, ALONE, number)
        passed = {REFERENCE: self.at(tool, RUNGS[REFERENCE], number)}
        start = self.first_top(tool) if number else REFERENCE
        if start not in passed:
            passed = {}
        while (rung := next_rung(passed, start)) is not None:
            passed[rung] = self.at(tool, RUNGS[rung], number)

    def first_top(self, tool: Tool) -> int:
        """The highest rung that the tool sustained in the first run."""
        rungs = [
            rung
            for rung, (streams, itl_ms) in enumerate(RUNGS)
            for row in self.results.rows
            if (row["tool"], row["run"], row["sustained"]) == (tool.name, 0, True)
            and (row["streams"], row["itl_ms"]) == (streams, itl_ms)
        ]
        return max(rungs, default=0)

    def at(self, tool: Tool, shape: tuple[int, float], number: int) -> bool:
        """Whether the tool sustained this point; measures it unless that was done."""
        point = Point(streams=shape[0], itl_ms=shape[1], seconds=self.seconds)
        key = {"tool": tool.name, "run": number, "streams": shape[0], "itl_ms": shape[1]}
        row = self.results.find(key)
        if row is None:
            place = environments.provide(tool, self.folder)
            row = key | {"seconds": self.seconds} | measure(tool, place, point, self.bench)
            self.results.add(row)
            print(f"run {number + 1}: {tool.name}, {point}: {report.line(row)}", file=sys.stderr)
        return bool(row["sustained"])


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = home() / "fidelity"
    parser.add_argument("--runs", type=int, default=1, help="default 1; a published table has 5")
    parser.add_argument("--tools", default=",".join(TOOLS), help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="1 s per point instead of 3 s")
    parser.add_argument("--environments", type=Path, default=folder, metavar="DIR",
                        help=f"where the tools are installed, default {folder}")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="FILE",
                        help="one JSON line each; default DIR/results.jsonl, which is put aside "
                        "under its date when the benchmark is complete")  # fmt: skip
    parser.add_argument("--server-core", type=int, default=0, help="default 0")
    parser.add_argument("--tool-core", type=int, default=1, help="default 1")
    parser.add_argument("--no-report", action="store_true", help="leave docs/fidelity.md as it is")
    given = parser.parse_args(argv)
    unknown = [name for name in given.tools.split(",") if name not in TOOLS]
    if unknown:
        parser.error(f"--tools: {', '.join(unknown)} unknown; there are {', '.join(TOOLS)}")
    missing = {given.server_core, given.tool_core} - os.sched_getaffinity(0)
    if missing or given.server_core == given.tool_core:
        parser.error("--server-core and --tool-core must be two cores that this process may use, "
                     f"of {sorted(os.sched_getaffinity(0))}")  # fmt: skip
    return given


def estimate_min(tools: Sequence[Tool], runs: int, seconds: float) -> float:
    """How long it will take on a quiet machine."""
    calls = [(tool, OUR_CALLS if tool is OURS else CALLS) for tool in tools]
    return runs * sum(count * (tool.seconds + seconds) for tool, count in calls) / 60


def draw(results: Path, folder: Path) -> None:
    """The picture beside the tables, by a process that has matplotlib."""
    python = environments.environment(environments.PLOT, folder) / "bin" / "python"
    subprocess.run([python, DRAW, results, PICTURE], check=True)


def main(argv: Sequence[str] | None = None) -> int:
    """0 unless an environment cannot be made: what a tool cannot do is a result."""
    given = parsed(argv)
    tools = [TOOLS[name] for name in given.tools.split(",")]
    folder, file = given.environments.absolute(), given.results
    results = Results(file or folder / "results.jsonl")
    for tool in tools:
        environments.provide(tool, folder)
    benchmark = Benchmark(results, folder, given)
    minutes = estimate_min(tools, given.runs, benchmark.seconds)
    done = f", {len(results.rows)} results are there already" if results.rows else ""
    print(f"about {minutes:.0f} min on a quiet machine{done}", file=sys.stderr)
    for number in range(given.runs):
        for tool in tools:
            benchmark.run(tool, number)
    print(report.tables(results.rows, list(TOOLS.values())))
    if not given.no_report:
        report.write(results.rows, list(TOOLS.values()))
        draw(results.file, folder)
    if file is None:
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")
        results.file.rename(results.file.with_name(f"results-{today}.jsonl"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
