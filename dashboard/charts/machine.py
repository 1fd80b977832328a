"""The machine while a launch ran, and where its memory went."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import colours
from dashboard.charts.layout import plain
from dashboard.units import Scale, quantity, scale

_GIB = 2.0**30
_HEIGHT = 150
"""Of one panel, pixels."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One quantity of a panel."""

    column: str
    unit: str
    factor: float
    what: str = ""
    """Added to a device's name where a panel has several quantities."""
    dash: str = "solid"


_PANELS: Mapping[str, tuple[_Line, ...]] = {
    "memory, GiB": (_Line(column="memory_bytes", unit="GiB", factor=_GIB),),
    "busy, %": (_Line(column="utilisation", unit="%", factor=0.01),),
    "power, W": (_Line(column="power_w", unit="W", factor=1),),
    "clocks, GHz<br>(dotted: memory)": (
        _Line(column="sm_clock_hz", unit="GHz", factor=1e9, what=" SM clock"),
        _Line(column="memory_clock_hz", unit="GHz", factor=1e9, what=" memory clock", dash="dot"),
    ),
    "temperature, °C": (_Line(column="temperature_c", unit="°C", factor=1),),
}


def telemetry(readings: pd.DataFrame, *, window_s: tuple[float, float] | None) -> go.Figure:
    """Readings need at_s, device and the columns of the panels; a missing reading is a gap.

    Panels that nothing was read for are left out. `window_s` is when the trial measured, in
    seconds since the launch.
    """
    panels = {
        title: lines
        for title, lines in _PANELS.items()
        if any(readings[line.column].notna().any() for line in lines)
    }
    rows = max(1, len(panels))
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.18 / rows)
    devices = sorted(readings["device"].unique())
    for row, (title, lines) in enumerate(panels.items(), start=1):
        for index, device in enumerate(devices):
            colour = colours.BUILDS[index % len(colours.BUILDS)]
            own = readings[readings["device"] == device]
            for line in lines:
                if own[line.column].notna().any() or row == 1:
                    figure.add_trace(_trace(own, line, device, colour, row == 1), row=row, col=1)
        figure.update_yaxes(title=title, rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title="s since the launch", row=rows, col=1)
    if window_s is not None:
        figure.add_vrect(
            x0=window_s[0], x1=window_s[1], fillcolor=colours.SKY, opacity=0.2, line_width=0,
        )  # fmt: skip
    return plain(figure, height=90 + _HEIGHT * rows)


def _trace(own: pd.DataFrame, line: _Line, device: str, colour: str, named: bool) -> go.Scatter:
    return go.Scatter(
        x=own["at_s"],
        y=own[line.column] / line.factor,
        mode="lines",
        name=device,
        legendgroup=device,
        showlegend=named,
        line={"color": colour, "width": 2, "dash": line.dash},
        hovertemplate=f"%{{y:.4~g}} {line.unit} at %{{x:.1f}} s<extra>{device}{line.what}</extra>",
    )


_PARTS = (
    ("weights", "weight_memory", colours.BLUE),
    ("KV cache", "kv_cache_memory", colours.SKY),
    ("graphs", "graph_memory", colours.GREEN),
)
_REST, _FREE = "everything else", "never used"


def memory_parts(measurements: Mapping[str, float], card_bytes: int | None) -> dict[str, float]:
    """Bytes of one card by what they are for, in the order in which they are stacked; empty unless
    weights and KV cache are known. The rest needs a peak, what was never used the card's size."""
    parts = {name: measurements[key] for name, key, _ in _PARTS if key in measurements}
    if not {"weights", "KV cache"} <= parts.keys():
        return {}
    peak = measurements.get("gpu_memory_peak")
    if peak is not None and peak > sum(parts.values()):
        parts[_REST] = peak - sum(parts.values())
    if peak is not None and card_bytes is not None and card_bytes > peak:
        parts[_FREE] = card_bytes - peak
    return parts


MEMORY_COLOURS = {name: colour for name, _, colour in _PARTS} | {
    _REST: colours.ORANGE,
    _FREE: colours.PALE,
}
"""In the order in which parts are stacked."""


def memory_stack(bars: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """A bar for each title, of what `memory_parts` found. A single bar names its sizes."""
    shown = scale("B", *(sum(parts.values()) for parts in bars.values()))
    figure = go.Figure([_stack(name, bars, shown) for name in MEMORY_COLOURS if _is_in(name, bars)])
    figure.update_xaxes(title=f"{shown.label} of the fullest card")
    figure.update_yaxes(autorange="reversed")
    height = 100 + 50 * len(bars)
    return plain(figure, height=height, barmode="stack", legend_traceorder="normal")


def _is_in(name: str, bars: Mapping[str, Mapping[str, float]]) -> bool:
    return any(name in parts for parts in bars.values())


def _stack(name: str, bars: Mapping[str, Mapping[str, float]], shown: Scale) -> go.Bar:
    """One part of every bar; a bar without it has a gap of no width there."""
    sizes = [parts.get(name) for parts in bars.values()]
    texts = [quantity(size, "B") for size in sizes]
    return go.Bar(
        x=[None if size is None else size / shown.factor for size in sizes],
        y=list(bars),
        orientation="h",
        name=f"{name} {texts[0]}" if len(bars) == 1 else name,
        marker={"color": MEMORY_COLOURS[name]},
        customdata=texts,
        hovertemplate=f"{name}: %{{customdata}}<extra>%{{y}}</extra>",
    )
