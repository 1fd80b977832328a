"""One imported series over time, with the trials that are not valid marked."""

from collections.abc import Sequence
from datetime import datetime

import plotly.graph_objects as go

from dashboard import colours
from dashboard.charts.layout import plain
from dashboard.units import Scale
from schema.store.imported_series import ImportedPoint
from schema.trials import TrialState

Place = datetime | int


def imported(points: Sequence[ImportedPoint], *, scale: Scale, by_commit: bool) -> go.Figure:
    """Valid values as a line with points; the others as crosses at the bottom with their reason.

    Where no time is told the trials stand in the order of their files.
    """
    places = _places(points, by_commit=by_commit)
    placed = sorted(zip(places, points, strict=True), key=lambda pair: pair[0])
    figure = go.Figure()
    valid = [(at, own) for at, own in placed if own.state is TrialState.VALID and own.value]
    wrong = [(at, own) for at, own in placed if own.state is not TrialState.VALID]
    values = [own.value / scale.factor for _, own in valid if own.value is not None]
    figure.add_trace(
        go.Scatter(
            x=[at for at, _ in valid],
            y=values,
            mode="lines+markers",
            name="valid",
            line={"color": colours.PALE, "width": 1.5},
            marker={"color": colours.BLUE, "size": 8},
            customdata=[_told(own) for _, own in valid],
            hovertemplate="<b>%{y:.4~f} " + scale.label + "</b><br>%{customdata}<extra></extra>",
        )
    )
    if wrong:
        figure.add_trace(_crosses(wrong, min(values, default=0.0)))
    return plain(figure, height=420, yaxis_title=scale.label or None, hovermode="closest")


def _places(points: Sequence[ImportedPoint], *, by_commit: bool) -> list[Place]:
    times = [own.committed_at if by_commit else own.measured_at for own in points]
    known = [time for time in times if time is not None]
    return list(known) if len(known) == len(points) else list(range(1, len(points) + 1))


def _crosses(wrong: Sequence[tuple[Place, ImportedPoint]], low: float) -> go.Scatter:
    return go.Scatter(
        x=[at for at, _ in wrong],
        y=[low] * len(wrong),
        mode="markers",
        name="failed or invalid: no value",
        marker={"color": colours.VERMILION, "symbol": "x", "size": 10},
        customdata=[f"{own.state}: {own.reason}<br>{_told(own)}" for _, own in wrong],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _told(own: ImportedPoint) -> str:
    build = f"build {own.build[:12]}<br>" if own.build else ""
    image = f"image {own.image}<br>" if own.image else ""
    return f"{build}{image}{own.file.rpartition('/')[2]}:{own.line}"
