"""How well the shipped policy detects, beside the peers' rules: docs/detector.md from one command.

    make bench-detector
    python benchmarks/detector.py            (the same; --no-write only prints)

Everything drawn has a fixed seed; rows on public files say when the file is absent.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from detecting import lasting_rows, rows
from detecting.speed import speed

from regressions.policy import read_policy
from schema.words import digest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "detector.md"
PICTURE = ROOT / "docs" / "images" / "detector.png"
BEGIN, END = "<!-- figures: make bench-detector -->", "<!-- end of figures -->"
ELSEWHERE = (
    *("run", "-q", "--no-project", "--with-requirements"),
    str(ROOT / "requirements" / "detector-benchmark.txt"),
    *("python", str(ROOT / "benchmarks" / "detecting" / "other_tools.py")),
)


def elsewhere(order: dict[str, object]) -> str | None:
    """What other_tools.py answers from its own environment; None where that cannot be made."""
    uv = shutil.which("uv")
    if uv is None:
        return None
    answer = subprocess.run(
        [uv, *ELSEWHERE], input=json.dumps(order), capture_output=True, text=True, check=False
    )
    if answer.returncode:
        print(answer.stderr, file=sys.stderr)
        return None
    return answer.stdout


def tool(name: str, series: Sequence[Sequence[float]]) -> tuple[list[list[int]], float] | None:
    """Change points of each series, and seconds of CPU."""
    answer = elsewhere({"tool": name, "series": series})
    if answer is None:
        return None
    found, seconds = json.loads(answer)
    return found, seconds


def table() -> Iterator[rows.Row]:
    yield rows.false_alarms(0.0, (0.01, 0.02, 0.03, 0.05), 0.0005)
    yield rows.false_alarms(0.6, (0.02, 0.05), 0.001)
    yield rows.otava_false_alarms(tool)
    for change, cv, target in (
        (-0.03, 0.01, 0.95),
        (-0.05, 0.01, 0.99),
        (-0.05, 0.02, 0.9),
        (-0.10, 0.02, 1.0),
    ):
        yield rows.confirmed_step(change, cv, target)
    for most in (0.02, 0.04, 1.0):
        yield rows.real_noise(tool, most)
    yield rows.several_trials(0.04, 5)
    for most in (0.02, 0.04, 1.0):
        yield lasting_rows.real_noise_halfway(tool, most)
    for before, after, tails in ((60, 40, "Gaussian"), (90, 60, "Gaussian"), (90, 60, "t(4)")):
        yield lasting_rows.drawn_halfway(tool, 0.04, before, after, tails)
    yield rows.labelled_by_maintainers(tool)
    yield rows.annotated_by_five(tool)
    yield from rows.slowed_requests()
    yield rows.repetitions()
    yield rows.dip_and_collapse(tool)
    yield from speed(tool)


def line(row: rows.Row) -> str:
    met = {True: "yes", False: "**no**", None: ""}[row.is_met]
    return f"| {row.what} | {row.target} | {row.reached} | {met} | {row.others} |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as it is")
    arguments = parser.parse_args(argv)
    lines = [
        f"Rules for series `{digest(read_policy().series.model_dump(mode='json'))}`.",
        "",
        "| what | to reach | reached | met | others in the same run |",
        "|---|---|---|---|---|",
    ]
    for row in table():
        lines.append(line(row))
        print(lines[-1], flush=True)
    if not arguments.no_write:
        page = PAGE.read_text()
        head, tail = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
        PAGE.write_text("\n".join([head, "", *lines, "", tail]))
        elsewhere({"plot": rows.trade_off(), "path": str(PICTURE)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
