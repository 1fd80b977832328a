"""Apache Otava and ruptures on series from stdin, and the plot. Runs in an environment of its own
(requirements/detector-benchmark.txt), because Otava pins its numpy.

stdin: {"series": [[...]], "tool": "otava" | "ruptures"} -> stdout: [[change points], seconds]
stdin: {"plot": {rule: [[false alarms, the same with drift, delay], ...]}, "path": ...}
"""

import json
import sys
import time
from typing import Any

import numpy as np

NEVER = 15.0


def otava(values: list[float]) -> list[int]:
    """Its defaults; the whole series as one window where 0.8.0 fails on overlapping ones."""
    from otava.analysis import compute_change_points

    try:
        found, _ = compute_change_points(np.array(values), window_len=50, max_pvalue=0.001)
    except ValueError:
        found, _ = compute_change_points(
            np.array(values), window_len=2 * len(values), max_pvalue=0.001
        )
    return [int(point.index) for point in found]


def ruptures(values: list[float]) -> list[int]:
    """PELT on ranks, the penalty of 3 log n of its documentation."""
    import ruptures as rpt

    signal = np.argsort(np.argsort(values)).astype(float)
    signal = (signal - signal.mean()) / signal.std()
    found = (
        rpt.Pelt(model="l2", min_size=3, jump=1).fit(signal).predict(pen=3 * np.log(len(values)))
    )
    return [int(at) for at in found[:-1]]


def plot(points: dict[str, list[list[float]]], path: str) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    for axis, column, label in (
        (axes[0], 0, "independent nights"),
        (axes[1], 1, "drifting nights"),
    ):
        for (name, rows), marker in zip(points.items(), "*osv^<>DPXhd", strict=False):
            x = [max(row[column], 0.05) for row in rows]
            y = [NEVER if row[2] is None else row[2] for row in rows]
            axis.scatter(
                x,
                y,
                marker=marker,
                s=180 if marker == "*" else 50,
                label=name,
                alpha=0.8,
            )
        axis.set_xscale("log")
        axis.set_xlabel(f"% of healthy series with a false alarm in 30 {label}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("nights until half of the 5 % steps are found (15: never)")
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    order: dict[str, Any] = json.load(sys.stdin)
    if "plot" in order:
        plot(order["plot"], order["path"])
        return
    tool = {"otava": otava, "ruptures": ruptures}[order["tool"]]
    tool(order["series"][0])  # imports are not its time
    started = time.process_time()
    found = [tool(values) for values in order["series"]]
    json.dump([found, time.process_time() - started], sys.stdout)


if __name__ == "__main__":
    main()
