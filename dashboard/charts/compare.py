"""Two samples of one cell: the change of every metric, and each trial behind one of them."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dashboard import colours
from dashboard.charts.layout import plain
from dashboard.units import Scale

_ROW = 27
"""Height of one metric, pixels."""


def forest(rows: pd.DataFrame) -> go.Figure:
    """Rows need metric, label, change, low, high, verdict, text and min_change.

    Changes are fractions; missing ones are NaN. A point's custom data is its metric.
    """
    figure = go.Figure()
    figure.add_trace(_zone(rows))
    for verdict, colour in colours.VERDICT.items():
        own = rows[(rows["verdict"] == verdict) & rows["change"].notna()]
        if len(own):
            figure.add_trace(_changes(own, str(verdict), colour))
    for label, text in zip(rows["label"], rows["text"], strict=True):
        figure.add_annotation(
            x=1.01, xref="paper", y=label, text=text, showarrow=False, xanchor="left",
            font={"size": 12, "color": colours.INK},
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": colours.INK, "width": 1})
    reach = _reach(rows)
    figure.update_yaxes(categoryorder="array", categoryarray=rows["label"][::-1].tolist())
    figure.update_xaxes(
        range=[-reach, reach], ticksuffix=" %", title="change of the contender against the baseline"
    )
    height = 130 + _ROW * len(rows)
    figure = plain(figure, height=height, barmode="overlay", hovermode="closest", bargap=0.25)
    return figure.update_layout(margin_r=210)


def _reach(rows: pd.DataFrame) -> float:
    """Half of the axis in percent: every change fits, wild interval ends may leave it."""
    ends = rows[["low", "high"]].abs().max(axis=1)
    widest = min(ends.max(skipna=True), 3 * rows["change"].abs().max() + 0.02)
    shown = [rows["change"].abs().max(), rows["min_change"].max(), widest]
    return 115 * max([0.02, *(float(value) for value in shown if pd.notna(value))])


def _zone(rows: pd.DataFrame) -> go.Bar:
    known = rows[rows["min_change"].notna()]
    return go.Bar(
        y=known["label"], base=-100 * known["min_change"], x=200 * known["min_change"],
        orientation="h", name="too small to matter", marker={"color": colours.PALE},
        hoverinfo="skip",
    )  # fmt: skip


def _changes(own: pd.DataFrame, verdict: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=100 * own["change"],
        y=own["label"],
        mode="markers",
        name=verdict,
        marker={"color": colour, "size": 10, "symbol": "square"},
        error_x={
            "array": 100 * (own["high"] - own["change"]),
            "arrayminus": 100 * (own["change"] - own["low"]),
            "symmetric": False,
            "thickness": 2,
            "width": 4,
            "color": colour,
        },
        customdata=own[["metric", "text"]].to_numpy(),
        hovertemplate="%{y}<br>%{customdata[1]}<br>click: its trials<extra>" + verdict + "</extra>",
    )


def strip(points: pd.DataFrame, *, scale: Scale, names: Mapping[str, str]) -> go.Figure:
    """Points need side (baseline, contender), trial, label and value (base unit).

    `names` titles each side. A point's custom data begins with its trial.
    """
    figure = go.Figure()
    for place, side in enumerate(("baseline", "contender")):
        own = points[points["side"] == side]
        if len(own):
            figure.add_trace(_dots(own, place, side, scale))
            middle = own["value"].median() / scale.factor
            figure.add_shape(
                type="line", x0=place - 0.3, x1=place + 0.3, y0=middle, y1=middle,
                line={"color": colours.SIDES[side], "width": 3},
            )  # fmt: skip
            figure.add_annotation(
                x=place + 0.31, y=middle, text=f"median {scale.text(middle * scale.factor)}",
                showarrow=False, xanchor="left", font={"size": 12, "color": colours.SIDES[side]},
            )  # fmt: skip
    titles = [names.get(side, side) for side in ("baseline", "contender")]
    figure.update_xaxes(tickvals=[0, 1], ticktext=titles, range=[-0.5, 1.7], showgrid=False)
    return plain(figure, height=400, showlegend=False, yaxis_title=scale.label or None)


def _dots(own: pd.DataFrame, place: int, side: str, scale: Scale) -> go.Scatter:
    spread = [place + 0.4 * ((index + 0.5) / len(own) - 0.5) for index in range(len(own))]
    return go.Scatter(
        x=spread,
        y=own["value"] / scale.factor,
        mode="markers",
        name=side,
        marker={
            "color": colours.SIDES[side],
            "size": 11,
            "line": {"width": 1, "color": "white"},
        },
        customdata=own[["trial", "label"]].to_numpy(),
        hovertemplate="<b>%{y:.4~f} " + scale.label
        + "</b><br>%{customdata[1]}<br>click: the trial<extra>" + side + "</extra>",
    )  # fmt: skip
