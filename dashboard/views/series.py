"""Series: one metric of one cell over nights."""

import streamlit as st

from dashboard import frames, queries, sentences, tables
from dashboard.address import choice
from dashboard.charts.series import Mark, series
from dashboard.overview import told_apart
from dashboard.units import quantity, scale
from schema.metrics import METRICS

cells = told_apart({cell.key: cell.slug for cell in queries.cells()})
if not cells:
    st.info(sentences.NO_NIGHTS)
    st.stop()

left, right = st.columns([3, 1.25])
with left:
    cell = choice("Cell", cells, "cell")
with right:
    metric = choice("Metric", {name: name for name in METRICS}, "metric", default="itl_p50")
unit = METRICS[metric].unit
st.caption(sentences.metric_line(metric))

values = queries.series(cell, metric)
if not values:
    st.info(
        f"No valid trial of this cell has a value of {metric}. Choose another metric; the trial's "
        "page says why a value could not be estimated."
    )
    st.stop()
points = frames.points(values)
band = frames.baseline_band(points)
dates = {own.name: own.date.isoformat() for own in queries.nights()}
marks = [
    Mark(date=dates[own.night], text=own.text)
    for own in queries.annotations(cell, metric)
    if own.night in dates
]
shown = scale(unit, *points["value"])
figure = series(points, scale=shown, band=band, marks=marks)
event = st.plotly_chart(figure, on_select="rerun", selection_mode="points", key="series")
if event["selection"]["points"]:
    trial = event["selection"]["points"][0]["customdata"][0]
    st.switch_page("views/trial.py", query_params={"trial": trial})
if band is None:
    st.caption("A point is a valid trial. Fewer than three baseline trials: no band is drawn.")
else:
    st.caption(
        f"A point is a valid trial; open circles belong to a baseline arm. Band: baseline median "
        f"{quantity(band.middle, unit)} ± {frames.SPREADS} robust standard deviations (1.4826 MAD) "
        f"of baseline trials, {quantity(band.low, unit)} to {quantity(band.high, unit)}."
    )
with st.expander(f"All {len(points)} values"):
    st.html(tables.values(values))
