"""The pictures of the document. Matplotlib takes long to load: only this module needs it."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from dashboard import colours
from dashboard.charts.experts import EVEN, SCALE, reach
from dashboard.charts.machine import MEMORY_COLOURS
from dashboard.levels import Level, families
from schema.metrics import METRICS
from schema.trials import variant_named
from stats.spread import variation
from tailwatch.measurements.found import Found
from tailwatch.measurements.memory import name, parts
from tailwatch.measurements.noise import DETAILED, noisy

GIB = 2.0**30
DOTS = 120
"""An inch."""
MARKS = "os^D"
"""Another one where the colours begin anew."""


def draw(found: Found, folder: Path, stem: str) -> list[Path]:
    """Writes STEM-batch.png and the others; returns them in the order of the document. What
    nothing was measured for is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for what, figure in (
        ("batch", _batch(found)),
        ("rate", _rate(found)),
        ("memory", _memory(found)),
        ("noise", _noise(found)),
        ("experts", _experts(found)),
    ):
        if figure is not None:
            path = folder / f"{stem}-{what}.png"
            figure.savefig(path, dpi=DOTS, metadata={"Software": None})
            plt.close(figure)
            made.append(path)
    return made


def _plain(found: Found) -> list[Sequence[Level]]:
    """Families of builds that are no variants."""
    return [own for own in families(found.levels) if not variant_named(own[0].build)]


def _batch(found: Found) -> Figure | None:
    """Throughput and median ITL over requests in flight."""
    return _curves(
        [[one for one in own if one.cell.workload.concurrency] for own in _plain(found)],
        {
            "output_throughput": {"yscale": "log", "ylabel": "throughput, tok/s"},
            "itl_p50": {"ylim": (0, None), "ylabel": "median ITL, ms"},
        },
        "requests in flight",
    )


def _rate(found: Found) -> Figure | None:
    """Median and 99th percentile of ITL over the request rate."""
    return _curves(
        [[one for one in own if one.cell.workload.rate] for own in _plain(found)],
        {
            "itl_p50": {"ylim": (0, None), "ylabel": "median ITL, ms"},
            "itl_p99": {"ylim": (0, None), "ylabel": "ITL P99, ms"},
        },
        "requests a second",
    )


def _curves(
    lines: Sequence[Sequence[Level]], panels: Mapping[str, dict[str, Any]], load: str
) -> Figure | None:
    """A row a kind of GPU, a panel a metric with its axes, a line a family and build."""
    drawn = [own for own in lines if own]
    if not drawn:
        return None
    gpus = list(dict.fromkeys(own[0].cell.family.gpu for own in drawn))
    figure, rows = plt.subplots(
        len(gpus), 2, figsize=(12, 1 + 4.4 * len(gpus)), layout="constrained", squeeze=False
    )
    for gpu, row in zip(gpus, rows, strict=True):
        here = [own for own in drawn if own[0].cell.family.gpu is gpu]
        for axes, (metric, settings) in zip(row, panels.items(), strict=True):
            for at, own in enumerate(here):
                _line(axes, own, metric, at)
            axes.set(title=str(gpu), xscale="log", xlabel=load, **settings)
            axes.set_xticks(sorted({_load(one) for own in here for one in own}))
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(visible=True, alpha=0.3)
    named = [
        entry for row in rows for entry in zip(*row[0].get_legend_handles_labels(), strict=True)
    ]
    handles, labels = zip(*named, strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _load(level: Level) -> float:
    return float(level.cell.workload.concurrency or level.cell.workload.rate or 0)


def _line(axes: Axes, own: Sequence[Level], metric: str, at: int) -> None:
    """Medians over launches, solid for a sparse model; every launch as a mark."""
    factor = 1e3 if METRICS[metric].unit == "s" else 1.0
    colour = colours.BUILDS[at % len(colours.BUILDS)]
    mark = MARKS[at // len(colours.BUILDS) % len(MARKS)]
    style = "-" if own[0].cell.family.model.is_moe else "--"
    told = [(level, middle) for level in own if (middle := level.middle(metric)) is not None]
    axes.plot(
        [_load(level) for level, _ in told], [factor * middle for _, middle in told], style,
        color=colour, linewidth=1.6,
    )  # fmt: skip
    axes.plot([], [], style + mark, color=colour, label=name(own), markersize=4)  # its legend
    for level, _ in told:
        values = [factor * value for value in level.values[metric]]
        axes.plot([_load(level)] * len(values), values, mark, color=colour, markersize=4, alpha=0.6)


def _memory(found: Found) -> Figure | None:
    """A bar a family and build."""
    bars = {name(own): parts(own) for own in _plain(found)}
    bars = {title: own for title, own in bars.items() if own}
    if not bars:
        return None
    figure, axes = plt.subplots(figsize=(12, 1.6 + 0.45 * len(bars)), layout="constrained")
    for part, colour in MEMORY_COLOURS.items():
        before = [_before(own, part) / GIB for own in bars.values()]
        sizes = [own.get(part, 0.0) / GIB for own in bars.values()]
        axes.barh(list(bars), sizes, left=before, color=colour, label=part)
    axes.invert_yaxis()
    axes.set_xlabel("GiB of the fullest card")
    figure.legend(loc="outside upper center", ncols=len(MEMORY_COLOURS), frameon=False)
    return figure


def _before(own: dict[str, float], part: str) -> float:
    """Where a part of a stack begins."""
    order = list(MEMORY_COLOURS)
    return sum(own.get(one, 0.0) for one in order[: order.index(part)])


def _noise(found: Found) -> Figure | None:
    """Coefficients of variation between launches with their intervals."""
    told = noisy(found)
    gpus = list(dict.fromkeys(own.cell.family.gpu for own in told))
    if not gpus:
        return None
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    for at, gpu in enumerate(gpus):
        own = [level for level in told if level.cell.family.gpu == gpu]
        for row, metric in enumerate(DETAILED):
            seen = variation([level.values.get(metric, ()) for level in own])
            if seen is None or seen.interval is None:
                continue
            ends = [[100 * (seen.cv - seen.interval[0])], [100 * (seen.interval[1] - seen.cv)]]
            axes.errorbar(
                [100 * seen.cv], [row + 0.2 * at], xerr=ends, fmt="o", capsize=3,
                color=colours.BUILDS[at], label=gpu if row == 0 else None,
            )  # fmt: skip
    axes.set_yticks(range(len(DETAILED)), DETAILED)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="coefficient of variation between launches, %, 95 % interval")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.grid(visible=True, axis="x", which="both", alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _experts(found: Found) -> Figure | None:
    """A heat map a build and model: layers down, experts across, white where the share is even."""
    if not found.chosen:
        return None
    colours_of_shares = LinearSegmentedColormap.from_list("shares", [own for _, own in SCALE])
    rows = -(-len(found.chosen) // 2)
    figure, panels = plt.subplots(
        rows, 2, figsize=(12, 5.2 * rows), layout="constrained", squeeze=False
    )
    for own, axes in zip_longest(found.chosen, panels.flat):
        if own is None:
            axes.set_axis_off()
            continue
        far = reach(own.selections)
        image = axes.imshow(
            own.selections.shares, cmap=colours_of_shares, vmin=EVEN - far, vmax=EVEN + far,
            aspect="auto", interpolation="nearest",
        )  # fmt: skip
        axes.set(xlabel="expert", ylabel="layer")
        axes.set_title(own.name, fontsize=9)
        figure.colorbar(image, ax=axes, label="share")
    return figure
