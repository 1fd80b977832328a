"""One metric of one cell over nights."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from dashboard import colours
from dashboard.charts.layout import plain
from dashboard.units import Scale

_SPREAD = pd.Timedelta(hours=7)
"""How far a night's builds are set apart around its date, so that they do not cover each other."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where the baseline lies, in the metric's base unit."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An annotation of a date."""

    date: str
    text: str


def series(
    points: pd.DataFrame, *, scale: Scale, band: Band | None, marks: Sequence[Mark]
) -> go.Figure:
    """Points need the columns night, date, build, arm, replicate, trial and value (base unit).

    A point's custom data begins with its trial.
    """
    figure = go.Figure()
    builds = list(dict.fromkeys(points["build"]))
    for index, build in enumerate(builds):
        own = points[points["build"] == build]
        figure.add_trace(_points(own, build, _offset(index, len(builds)), index, scale))
    if band is not None:
        _draw_band(figure, band, scale)
    for mark in marks:
        figure.add_vline(x=mark.date, line={"color": colours.PURPLE, "dash": "dot", "width": 1.5})
        figure.add_annotation(
            x=mark.date, y=1, yref="paper", text=mark.text, showarrow=False,
            xanchor="left", xshift=4, font={"color": colours.PURPLE, "size": 12},
        )  # fmt: skip
    dates = pd.to_datetime(points["date"])
    pad = max(pd.Timedelta(days=1), (dates.max() - dates.min()) * 0.03)
    figure.update_xaxes(
        range=[dates.min() - pad, dates.max() + pad], tickformat="%d %b\n%Y", minallowed=None
    )
    if dates.nunique() <= 12:
        figure.update_xaxes(tickvals=sorted(dates.unique()))
    return plain(figure, height=460, yaxis_title=scale.label or None, hovermode="closest")


def _offset(index: int, count: int) -> pd.Timedelta:
    return _SPREAD * ((index + 0.5) / count - 0.5) * 2


def _points(
    own: pd.DataFrame, build: str, offset: pd.Timedelta, index: int, scale: Scale
) -> go.Scatter:
    return go.Scatter(
        x=pd.to_datetime(own["date"]) + offset,
        y=own["value"] / scale.factor,
        mode="markers",
        name=build,
        marker={
            "color": colours.BUILDS[index % len(colours.BUILDS)],
            "symbol": ["circle-open" if "baseline" in arm else "circle" for arm in own["arm"]],
            "size": 9,
            "line": {"width": 2, "color": colours.BUILDS[index % len(colours.BUILDS)]},
        },
        customdata=own[["trial", "night", "arm", "replicate"]].to_numpy(),
        hovertemplate=(
            "<b>%{y:.4~f} " + scale.label + "</b><br>%{customdata[1]}<br>"
            "%{customdata[2]} #%{customdata[3]}<br>click: the trial<extra>" + build + "</extra>"
        ),
    )


def _draw_band(figure: go.Figure, band: Band, scale: Scale) -> None:
    low, middle, high = (value / scale.factor for value in (band.low, band.middle, band.high))
    figure.add_hrect(y0=low, y1=high, fillcolor=colours.SKY, opacity=0.18, line_width=0)
    figure.add_hline(
        y=middle, line={"color": colours.GREY, "width": 1.5},
        annotation_text="baseline median", annotation_position="top right",
        annotation_font={"color": colours.GREY, "size": 12},
    )  # fmt: skip
