"""Detector: how far its verdicts can be believed, and what they cost."""

import streamlit as st

from dashboard import detector as words
from dashboard import detector_queries, markup, power, queries, sentences, shadow
from dashboard.address import choice
from dashboard.charts.detector import calibration, reach
from dashboard.overview import short_names
from regressions.power import SeriesPower
from regressions.sentences import counted
from schema.metrics import METRICS
from schema.store.silent import TwoVerdicts

MOST_ROWS = 30
LEAST_FOR_A_CURVE = 5  # nights; a string here would be shown on the page
CHANGES = {"twice": "twice what matters", **{f"{n}": f"{n} %" for n in (2, 3, 5, 10, 20)}}

page = detector_queries.detector()
policy = queries.policy()
if not page.nights:
    st.info(sentences.NO_NIGHTS)
    st.stop()
names = short_names({cell.key: cell.slug for cell in page.cells})
prices = {cell.key: (page.launch_hours.get(cell.family.key), page.unit) for cell in page.cells}


def asked_changes(chosen: str) -> dict[tuple[str, str], float]:
    """The change asked of each series, to its worse side."""
    found = {}
    for own in page.power:
        size = abs(own.mattering) if chosen == "twice" else float(chosen) / 100
        found[own.cell, own.metric] = size if own.mattering > 0 else -size
    return found


def show_alarms() -> None:
    st.subheader("False alarms", anchor="alarms")
    st.markdown(words.alarms_line(page.alarms, policy))
    if page.alarms.alarms:
        st.html(words.alarm_table(page.alarms.alarms, names))
    if len(page.alarms.ps) >= LEAST_FOR_A_CURVE:
        st.plotly_chart(calibration(page.alarms.ps), key="calibration")
        st.caption(
            "A point is a night of the control arm. Above the dotted line its p are smaller than "
            "chance makes them: then the policy cries wolf, even before it has."
        )


def show_power() -> None:
    st.subheader("What each series can show", anchor="power")
    measured = {own.metric for own in page.power}
    left, right = st.columns([1, 1])
    with left:
        changes = asked_changes(choice("Change to look for", CHANGES, "change"))
    with right:
        metrics = {name: name for name in METRICS if name in measured}
        metric = choice("Metric of the picture", metrics, "metric", default="itl_p50")
    known = [own for own in page.power if own.scatter is not None]
    ordered = power.worst_first(known, changes)
    drawn = [own for own in ordered if own.metric == metric]
    if drawn:
        st.plotly_chart(reach(drawn, names), key="reach")
        st.caption(
            f"The smallest change of {metric} that a night would show with a chance of 80 %. Rings "
            "mark the trials of the newest night; where a line begins is the fewest that can show "
            "anything. A baseline of few nights still grows, up to "
            f"{policy.baseline_nights}, and shows more as it does. Where the scatter of nights is "
            "not known yet, more trials promise too much."
        )
    else:
        st.info(f"No cell has two trials of {metric} in one night: their scatter is not known.")
    show_series(ordered, changes)


def show_series(ordered: list[SeriesPower], changes: dict[tuple[str, str], float]) -> None:
    if ordered:
        st.html(rows(ordered[:MOST_ROWS], changes, "power"))
    if rest := ordered[MOST_ROWS:]:
        with st.expander(f"The other {len(rest)} of {len(ordered)} series"):
            st.html(rows(rest, changes, "power of the others"))
    if unknown := [own for own in page.power if own.scatter is None]:
        with st.expander(f"{len(unknown)} series whose scatter is not known"):
            st.html(rows(unknown, changes, "power not known"))


def show_noisy() -> None:
    st.subheader("Too noisy to judge", anchor="noisy")
    changes = asked_changes("twice")
    noisy = power.worst_first((own for own in page.power if own.is_too_noisy), changes)
    if noisy:
        st.caption(
            f"{len(noisy)} series would not show twice the change that matters, however long it "
            "lasts: give them more trials, a longer window of requests, or leave them out."
        )
        st.html(rows(noisy, changes, "too noisy"))
    else:
        st.caption(
            "No series with enough trials is too noisy to show twice the change that matters."
        )


def rows(series: list[SeriesPower], changes: dict[tuple[str, str], float], name: str) -> str:
    return power.power_table(series, changes, names, prices, name=name)


def show_costs() -> None:
    st.subheader("What a decision costs", anchor="costs")
    st.markdown(words.cost_line(page.costs, page.unit))
    with st.expander(f"The newest {counted(len(page.costs), 'night')}"):
        st.html(words.cost_table(page.costs, page.unit))


def show_shadow() -> None:
    st.subheader("The policy in shadow", anchor="shadow")
    found = detector_queries.shadows()
    if not found:
        st.caption(
            "No policy judges in shadow. `tailwatch shadow POLICY.yaml` judges the stored nights "
            "with another one, TAILWATCH_SHADOW_POLICY every further night; neither alerts."
        )
        return
    labels = {
        one.policy: f"{one.policy}: {counted(one.nights, 'night')}, last {one.last_night}"
        for one in found
    }
    own = detector_queries.shadow(choice("Policy", labels, "shadow"))
    st.markdown(shadow.shadow_line(own.both, own.alarms, policy))
    st.html(shadow.crossed_table(own.both))
    show_differences([one for one in own.both if one.told is not one.shadow])


def show_differences(apart: list[TwoVerdicts]) -> None:
    if apart:
        st.html(shadow.difference_table(apart[:MOST_ROWS], names))
        if len(apart) > MOST_ROWS:
            st.caption(f"The newest {MOST_ROWS} of {len(apart)} differences.")
    else:
        st.caption("The two agree on every comparison.")


title, tone, below = words.headline(page.alarms, policy, page.power)
st.html(markup.headline(title, tone=tone, below=below))
show_alarms()
show_power()
show_noisy()
show_costs()
show_shadow()
with st.expander("How to read this"):
    st.markdown(words.HOW_TO_READ)
