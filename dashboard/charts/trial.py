"""What happened inside one trial: its latencies and its requests."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import colours
from dashboard.charts.layout import plain, thin
from dashboard.units import scale
from schema.metrics import TAIL_OBSERVATIONS
from schema.stalls import Stall

_TICKS = (50, 90, 99, 99.9, 99.99)
_COLOURS = {"TTFT": colours.ORANGE, "ITL": colours.BLUE, "E2E": colours.GREEN}
_MOST_STEPS = 300


def percentiles(latencies: dict[str, pd.Series]) -> go.Figure:
    """One panel for each named latency (s): its empirical distribution with the tail drawn out.

    The horizontal axis is log(1 / (1 - p)), so p90, p99 and p99.9 are equally far apart. Dotted
    where fewer than TAIL_OBSERVATIONS observations lie above: that part is chance.
    """
    figure = make_subplots(cols=len(latencies), rows=1, subplot_titles=list(latencies))
    for column, (name, values) in enumerate(latencies.items(), start=1):
        if not len(values):
            continue
        shown = scale("s", float(values.quantile(0.5)))
        tail, height = _distribution(values.to_numpy() / shown.factor)
        sure = 1 / tail * len(values) >= TAIL_OBSERVATIONS
        parts = [(sure, "solid")]
        parts.append((~sure | np.roll(~sure, -1), "dot"))
        for part, dash in parts:
            figure.add_trace(
                _curve(tail[part], height[part], name, dash, shown.label), row=1, col=column
            )
        figure.update_yaxes(title=shown.label, rangemode="tozero", row=1, col=column)
        ticks = [tick for tick in _TICKS if 100 / (100 - tick) <= len(values) * 2]
        figure.update_xaxes(
            type="log", tickvals=[100 / (100 - tick) for tick in ticks],
            ticktext=[f"p{tick:g}" for tick in ticks], row=1, col=column,
        )  # fmt: skip
    return plain(figure, height=340, showlegend=False)


def _distribution(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 / (1 - p) at (i - 0.5) / n and the value there, thinned where the curve is dense."""
    ordered = np.sort(values)
    count = len(ordered)
    ranks = np.unique(np.round(count - np.geomspace(count, 1, _MOST_STEPS)).astype(int))
    return count / (count - ranks - 0.5), ordered[ranks]


def _curve(tail: np.ndarray, height: np.ndarray, name: str, dash: str, unit: str) -> go.Scatter:
    return go.Scatter(
        x=tail,
        y=height,
        mode="lines",
        name=name,
        line={"color": _COLOURS.get(name, colours.BLUE), "width": 2, "dash": dash},
        customdata=100 - 100 / tail,
        hovertemplate="p%{customdata:.4~g}: %{y:.4~g} " + unit + "<extra>" + name + "</extra>",
    )


def gaps_over_time(gaps: pd.DataFrame) -> go.Figure:
    """Gaps need at_s, gap_s (s) and request: every gap between tokens when it ended."""
    shown = scale("s", float(gaps["gap_s"].median()) if len(gaps) else None)
    kept = thin(gaps, "gap_s")
    figure = go.Figure(
        go.Scatter(
            x=kept["at_s"],
            y=kept["gap_s"] / shown.factor,
            mode="markers",
            marker={"color": colours.BLUE, "size": 4, "opacity": 0.45},
            customdata=kept["request"],
            hovertemplate=f"%{{y:.4~g}} {shown.label} at %{{x:.2f}} s<br>request %{{customdata}}"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(title="s since the measured window began")
    return plain(figure, height=320, showlegend=False, yaxis_title=shown.label)


def timeline(requests: pd.DataFrame) -> go.Figure:
    """Requests need index, scheduled_s, sent_s, first_s, last_s (NaN when never) and error."""
    figure = go.Figure()
    steps = (
        ("waiting to be sent", "scheduled_s", "sent_s", colours.GREY),
        ("first token awaited", "sent_s", "first_s", colours.ORANGE),
        ("tokens arriving", "first_s", "last_s", colours.BLUE),
    )
    for name, start, end, colour in steps:
        figure.add_trace(_bars(requests, name, start, end, colour))
    errors = requests[requests["error"].notna()]
    if len(errors):
        figure.add_trace(
            go.Scatter(
                x=errors["sent_s"], y=errors["index"], mode="markers", name="failed",
                marker={"symbol": "x", "color": colours.VERMILION, "size": 8},
                text=errors["error"], hovertemplate="%{text}<extra>failed</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title="s since the measured window began")
    figure.update_yaxes(autorange="reversed", title="request")
    return plain(figure, height=320 if len(requests) < 80 else 520, barmode="overlay", bargap=0.2)


def shaded(figure: go.Figure, stalls: Sequence[Stall]) -> go.Figure:
    """The same over seconds of the window, with every stall marked."""
    for own in stalls:
        figure.add_vrect(
            x0=own.start_s, x1=own.end_s, fillcolor=colours.VERMILION, opacity=0.15, line_width=0,
        )  # fmt: skip
    return figure


def _bars(requests: pd.DataFrame, name: str, start: str, end: str, colour: str) -> go.Bar:
    known = requests[requests[start].notna() & requests[end].notna()]
    return go.Bar(
        y=known["index"], base=known[start], x=known[end] - known[start], orientation="h",
        name=name, marker={"color": colour, "line": {"width": 0}},
        hovertemplate="request %{y}: %{x:.4~g} s " + name + "<extra></extra>",
    )  # fmt: skip
