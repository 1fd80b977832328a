"""The picture of docs/fidelity.md. Runs in an environment of its own, which has matplotlib.

DIR/matplotlib-VERSION/bin/python benchmarks/fidelity/picture.py results.jsonl fidelity.png
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

LIMIT_US = 1000.0


def draw(results: Path, picture: Path) -> None:
    """p99 error of ITL over the rate, one colour a tool and one point a measurement."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for text in results.read_text().splitlines():
        row = json.loads(text)
        error = None if row["failure"] else row["itl_s"] or row["mean_itl_s"]
        if error is not None and row["streams"] > 1:
            title = row["tool"] + ("" if row["itl_s"] else " (means of requests)")
            found[title].append((row["events_per_s"], error["p99"] * 1e6))
    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    for title, points in found.items():
        axes.plot(*zip(*sorted(points), strict=True), "o-", label=title, markersize=4, alpha=0.8)
    axes.axhline(LIMIT_US, color="grey", linestyle="--", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="events per second, all streams together")
    axes.set_ylabel("error of inter-token latency, p99, us")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
