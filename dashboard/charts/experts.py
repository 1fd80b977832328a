"""How often each expert of each layer was chosen."""

import plotly.graph_objects as go

from dashboard import colours
from dashboard.charts.layout import plain
from schema.selections import Selections

EVEN = 1.0
SCALE = ((0.0, colours.BLUE), (0.5, "#FFFFFF"), (1.0, colours.VERMILION))
"""Too seldom, evenly, too often: two hues that colour-blind readers tell apart."""
LEAST_REACH = 0.05
"""Chance alone must not look like an imbalance: the scale reaches at least so far from even."""
ROW = 14
"""Of one layer, pixels."""


def reach(selections: Selections) -> float:
    """How far the scale goes from an even share, either way."""
    every = [abs(share - EVEN) for layer in selections.shares for share in layer]
    return max(LEAST_REACH, *every)


def heat_map(selections: Selections) -> go.Figure:
    """A row a layer, a column an expert; the colour is the share of selections, white is even."""
    far = reach(selections)
    figure = go.Figure(
        go.Heatmap(
            z=selections.shares,
            customdata=selections.counts,
            zmin=EVEN - far, zmax=EVEN + far, colorscale=SCALE, xgap=1, ygap=1,
            colorbar={"title": "share", "thickness": 14},
            hovertemplate="layer %{y}, expert %{x}<br><b>%{z:.4f}</b> of an even share"
            "<br>%{customdata:,} selections<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="expert", dtick=max(1, selections.experts // 16))
    figure.update_yaxes(title="layer", autorange="reversed", dtick=max(1, selections.layers // 8))
    return plain(figure, height=120 + ROW * min(selections.layers, 64))
