"""Compare: every metric of one cell as a change, and each trial behind one of them."""

import streamlit as st

from dashboard import frames, markup, queries, sentences
from dashboard.address import asked, choice
from dashboard.charts.compare import forest, strip
from dashboard.overview import told_apart
from dashboard.units import scale
from schema.judgements import Comparison, Judgement, Verdict
from schema.metrics import METRICS


def judged() -> tuple[list[tuple[Comparison, Verdict | None]], dict[str, Judgement]]:
    """What one night concluded about one cell."""
    recorded = queries.nights()
    if not recorded:
        st.info(sentences.NO_NIGHTS)
        st.stop()
    left, right = st.columns([1, 1.6])
    with left:
        chosen = choice("Night", {own.name: own.name for own in recorded}, "night")
    night = queries.night(chosen)
    with right:
        cells = told_apart({cell.key: cell.slug for cell in night.plan.cells})
        if not cells:
            st.info(f"Night {chosen} planned no cell.")
            st.stop()
        cell = choice("Cell", cells, "cell")
    found = [own for own in night.judgements if own.comparison.cell == cell]
    st.page_link(
        "views/compare.py",
        label="Set any two cells or builds against each other",
        query_params={"left": cell, "right": cell},
    )
    if not found:
        st.info(
            f"Night {chosen} has no judgement of this cell. It is judged when its trials are "
            "recorded; Tonight lists the trials that failed."
        )
        st.stop()
    judgements = {own.comparison.metric: own for own in found}
    return [(own.comparison, own.verdict) for own in found], judgements


def explored() -> tuple[list[tuple[Comparison, Verdict | None]], dict[str, Judgement]]:
    """Any two cells, or two builds of one cell, over all nights."""
    cells = told_apart({cell.key: cell.slug for cell in queries.cells()})
    builds = told_apart({build.key: build.name for build in queries.builds()})
    if not cells or not builds:
        st.info(sentences.NO_NIGHTS)
        st.stop()
    sides = []
    for column, side in zip(st.columns(2, gap="large"), ("left", "right"), strict=True):
        with column:
            title = "Baseline" if side == "left" else "Contender"
            newest = list(builds)[-1 if side == "right" else max(-2, -len(builds))]
            cell = choice(f"{title} cell", cells, side)
            sides.append((cell, choice(f"{title} build", builds, f"{side}_build", default=newest)))
    st.page_link("views/compare.py", label="Back to the judged nights")
    if sides[0] == sides[1]:
        st.info("Both sides are the same cell and build: choose another cell or build.")
        st.stop()
    found = queries.explore(sides[0], sides[1])
    st.warning(
        "Exploratory: all valid trials of all nights and arms, no verdict, and no correction for "
        "the number of comparisons. Builds measured on different nights may differ by the host."
    )
    if not found:
        st.info("The two sides have no judged metric in common: choose a side that was measured.")
        st.stop()
    return [(own, None) for own in found], {}


def choose_metric() -> None:
    """A click on a change chooses its metric."""
    if clicked := st.session_state["forest"]["selection"]["points"]:
        st.query_params["metric"] = clicked[0]["customdata"][0]


shown, judgements = judged() if asked("left") is None else explored()
policy = queries.policy()
known = {own.policy for own in judgements.values()} <= {policy.key}
st.subheader("Every metric", anchor="metrics")
figure = forest(frames.changes(shown, policy.min_change if known else {}))
st.plotly_chart(figure, on_select=choose_metric, selection_mode="points", key="forest")
st.caption(
    "Arrows point to where a metric is better; the grey zone is what the policy calls too small to "
    "matter. Lines are exact intervals."
    if known
    else f"Judged with another policy than the present one ({policy.key}): no zone is drawn."
)

comparisons = {own.metric: own for own, _ in shown}
ordered = {name: name for name in METRICS if name in comparisons}
metric = choice("Metric", ordered, "metric")
found = comparisons[metric]
names = sentences.side_names(found, {build.key: build.name for build in queries.builds()})
left, right = st.columns([1.5, 1], gap="large")
with left:
    if found.baseline.values or found.contender.values:
        unit = scale(METRICS[metric].unit, *found.baseline.values, *found.contender.values)
        labels = queries.labels([asked("left") or found.cell, found.cell], metric)
        points = frames.sides(found.baseline, found.contender, labels)
        event = st.plotly_chart(
            strip(points, scale=unit, names=names), on_select="rerun",
            selection_mode="points", key=f"strip-{metric}",
        )  # fmt: skip
        if event["selection"]["points"]:
            trial = event["selection"]["points"][0]["customdata"][0]
            st.switch_page("views/trial.py", query_params={"trial": trial})
        st.caption("A point is a trial; a click opens it.")
    else:
        st.info("Neither side has a value: no trial of this cell is valid.")
with right:
    if metric in judgements:
        own = judgements[metric]
        st.html(markup.headline(own.verdict.capitalize(), tone=own.verdict, below=[own.reason]))
    st.html(markup.facts(sentences.comparison_facts(found)))
    for text in sentences.further_warnings(found, judgements.get(metric)):
        st.warning(text)
    st.caption(sentences.metric_line(metric))
    st.page_link(
        "views/series.py", label="This metric over nights",
        query_params={"cell": found.cell, "metric": metric},
    )  # fmt: skip
with st.expander("How to read this"):
    st.markdown(sentences.HOW_TO_READ)
