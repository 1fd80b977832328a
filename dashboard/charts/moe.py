"""A sparse model beside a dense one: batch curves and tails over nights."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import colours
from dashboard.charts.layout import plain
from dashboard.levels import Level
from dashboard.moe import batch_curve
from stats.batch_curve import bend

SIDES = {"sparse": colours.VERMILION, "dense": colours.BLUE}
_TICKS = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]
"""Of a logarithmic axis; Plotly's own leave away the zeros of 200."""


def batch_curves(sides: Mapping[str, Sequence[Level]]) -> go.Figure:
    """Throughput and median ITL over requests in flight; the step where a curve bends is wide.

    `sides` has the levels of two, by what the legend calls them: the one that is looked at first.
    """
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.11)
    for (name, found), colour in zip(sides.items(), SIDES.values(), strict=True):
        curve = batch_curve(found)
        figure.add_trace(_curve(curve, name, colour, "tok/s"), row=1, col=1)
        gaps = {
            own.cell.workload.concurrency: 1e3 * gap
            for own in found
            if own.cell.workload.concurrency and (gap := own.middle("itl_p50")) is not None
        }
        itl = _curve(gaps, name, colour, "ms").update(showlegend=False)
        figure.add_trace(itl, row=1, col=2)
        step = bend(curve)
        if step is not None:
            ends = {batch: curve[batch] for batch in (step.low, step.high)}
            figure.add_trace(_wide(ends, colour), row=1, col=1)
    batches = sorted({batch for found in sides.values() for batch in batch_curve(found)})
    figure.update_xaxes(title="requests in flight", type="log", tickvals=batches)
    throughput = {"title": "throughput, tok/s", "tickvals": _TICKS, "tickformat": ","}
    figure.update_yaxes(throughput, type="log", row=1, col=1)
    figure.update_yaxes(title="median ITL, ms", rangemode="tozero", row=1, col=2)
    return plain(figure, height=380)


def _curve(curve: Mapping[int, float], name: str, colour: str, unit: str) -> go.Scatter:
    return go.Scatter(
        x=list(curve), y=list(curve.values()), mode="lines+markers", name=name,
        line={"color": colour, "width": 2}, marker={"size": 8}, legendgroup=name,
        hovertemplate=f"%{{y:,.4~g}} {unit} at batch %{{x}}<extra>{name}</extra>",
    )  # fmt: skip


def _wide(curve: Mapping[int, float], colour: str) -> go.Scatter:
    return go.Scatter(
        x=list(curve), y=list(curve.values()), mode="lines", opacity=0.3, hoverinfo="skip",
        line={"color": colour, "width": 12}, showlegend=False,
    )  # fmt: skip


def tails(points: pd.DataFrame) -> go.Figure:
    """P99 over P50 of the gaps of every trial, night by night.

    Points need the columns side, name, night, replicate, trial and value; nights in their order.
    """
    figure = go.Figure()
    for side in points["side"].unique():
        own = points[points["side"] == side]
        name = own["name"].iloc[0]
        figure.add_trace(
            go.Scatter(
                x=own["night"], y=own["value"], mode="markers", name=name,
                marker={"color": SIDES[side], "size": 9},
                customdata=own[["trial", "replicate"]].to_numpy(),
                hovertemplate="<b>%{y:.4~g}</b><br>%{x} #%{customdata[1]}<br>click: the trial"
                f"<extra>{name}</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(type="category", categoryarray=list(dict.fromkeys(points["night"])))
    figure.update_yaxes(title="ITL P99 / P50", rangemode="tozero")
    return plain(figure, height=340)
