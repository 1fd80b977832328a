"""What every chart shares: one plain look, and points that know their trial."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import colours

MOST_POINTS = 4000
"""More points than this make a browser slow and a picture no clearer."""


def plain(figure: go.Figure, *, height: int, **layout: Any) -> go.Figure:
    """Apply the common look."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 16, "t": 28, "b": 8},
        plot_bgcolor="white",
        paper_bgcolor="white",
        font={"color": colours.INK, "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
        hoverlabel={"align": "left"},
    )
    axis = {"gridcolor": colours.PALE, "zeroline": False, "automargin": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_layout(**layout)
    return figure


def thin(frame: pd.DataFrame, by: str, most: int = MOST_POINTS) -> pd.DataFrame:
    """At most `most` rows: the largest by column `by` stay, the others are thinned evenly."""
    if len(frame) <= most:
        return frame
    kept = frame.nlargest(most // 10, by)
    others = frame.drop(kept.index)
    step = -(-len(others) // (most - len(kept)))
    return pd.concat([others.iloc[::step], kept]).sort_index()
