"""The detector's own pictures: what it could see, and how its p behave where nothing changed."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard import colours
from dashboard.charts.layout import plain
from regressions.power import MOST_TRIALS, SeriesPower

MOST_NAMED = 7
"""Lines that get a colour and a name in the legend; the rest are grey and named where you point."""
_TICKS = [scale * digit for scale in (0.1, 1, 10, 100) for digit in (1, 1.5, 2, 3, 4, 5, 7)]


def reach(series: Sequence[SeriesPower], names: Mapping[str, str]) -> go.Figure:
    """Smallest change of one metric against trials a night: a line a cell, the worst ones named.

    A ring marks the trials that the newest night had.
    """
    figure = go.Figure()
    for place, own in enumerate(series):
        shown = [(at, own.smallest(at)) for at in range(1, MOST_TRIALS + 1)]
        known = [(at, 100 * abs(change)) for at, change in shown if change is not None]
        colour = colours.BUILDS[place] if place < MOST_NAMED else colours.GREY
        name = names.get(own.cell, own.cell)
        figure.add_scatter(
            x=[at for at, _ in known], y=[change for _, change in known], mode="lines+markers",
            line={"color": colour, "width": 2 if place < MOST_NAMED else 1}, name=name,
            marker={"size": [11 if at == own.trials else 1 for at, _ in known],
                    "symbol": "circle-open", "line": {"width": 2}},
            showlegend=place < MOST_NAMED,
            hovertemplate="%{y:.1f} % with %{x} trials<extra>" + name + "</extra>",
        )  # fmt: skip
    if series:
        figure.add_scatter(
            x=[1, MOST_TRIALS], y=[100 * series[0].min_change] * 2, mode="lines",
            name="least change that matters", hoverinfo="skip",
            line={"color": colours.INK, "dash": "dot", "width": 1},
        )  # fmt: skip
    figure.update_yaxes(
        type="log", tickvals=_TICKS, ticktext=[f"{tick:g} %" for tick in _TICKS],
        title="smallest change seen in one night",
    )  # fmt: skip
    figure.update_xaxes(title="trials a night (of a release: a side)", range=[0.5, MOST_TRIALS + 1])
    figure = plain(figure, height=430, hovermode="closest")
    return figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"})


def calibration(ps: Sequence[tuple[str, float]]) -> go.Figure:
    """Nights of the control arm by their p: an honest detector stays at the diagonal or below."""
    ordered = sorted(ps, key=lambda own: own[1])
    shares = [100 * (place + 1) / len(ordered) for place in range(len(ordered))]
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 100], mode="lines", name="as much as chance allows",
        line={"color": colours.GREY, "dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=[p for _, p in ordered], y=shares, mode="lines+markers", name="control nights",
        line={"color": colours.BLUE, "shape": "hv"}, marker={"size": 7},
        customdata=[night for night, _ in ordered],
        hovertemplate="%{customdata}: p %{x:.2g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1.02], title="p of a control night (Simes, all its comparisons)")
    figure.update_yaxes(
        range=[0, 103], ticksuffix=" %", title="nights with such a p or a smaller one"
    )
    return plain(figure, height=330)
