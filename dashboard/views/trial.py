"""Trial: everything about one execution of a cell, from its verdict to its last log line."""

import streamlit as st

from dashboard import frames, hosts, markup, queries, sentences, tables
from dashboard.address import asked
from dashboard.charts.machine import memory_parts, memory_stack, telemetry
from dashboard.charts.trial import gaps_over_time, percentiles, shaded, timeline
from schema.stalls import stalls

key = asked("trial")
if key is None:
    recorded = queries.nights()
    if not recorded:
        st.info(sentences.NO_NIGHTS)
        st.stop()
    newest = queries.night(recorded[0].name)
    st.subheader(f"Trials of {recorded[0].name}")
    st.caption("Choose a trial here, or come from a point of Series or Compare.")
    st.html(tables.trials(newest.trials, {}, name="all trials"))
    st.stop()

page = queries.trial(key)
facts, launch, requests = page.facts, page.facts.launch, page.requests
title, below = sentences.trial_headline(facts)
st.html(markup.headline(title, tone=facts.summary.state, below=below))

left, right = st.columns([1.25, 1], gap="large")
with left:
    st.subheader("What ran")
    st.html(markup.facts(sentences.trial_facts(facts)))
    with st.expander(f"Host {facts.host.name}, fingerprint {facts.host.fingerprint}"):
        st.html(markup.facts(hosts.host_facts(facts.host)))
    with st.expander("Where the time went"):
        st.html(tables.phases(launch.phases_s))
with right:
    st.subheader("Checks")
    if facts.checks:
        st.html(tables.checks(facts.checks))
    else:
        st.caption("The trial ended before anything could be checked.")

st.subheader("Trials of the same launch")
st.html(tables.trials(page.siblings, {}, name="same launch"))

st.subheader("Metrics")
if facts.measurements or facts.not_estimable:
    st.html(tables.metrics(facts.measurements, facts.not_estimable, facts.summary.cell))
else:
    st.caption("Nothing was measured.")

st.subheader("Latencies")
if requests:
    latencies, silent = frames.latencies(requests), stalls(requests)
    if silent:
        st.warning(sentences.stalls_line(silent, facts.measurements))
    st.plotly_chart(percentiles(latencies), key="percentiles")
    st.caption(
        "The axis is stretched so that p90, p99 and p99.9 are equally far apart. Dotted: fewer "
        "than 10 observations lie above, so the curve there is chance."
    )
    st.markdown("**Gaps between tokens over time**")
    st.plotly_chart(shaded(gaps_over_time(frames.gaps(requests)), silent), key="gaps")
    st.markdown("**Every request**")
    st.plotly_chart(shaded(timeline(frames.requests(requests)), silent), key="timeline")
elif any(page.sketches.values()):
    st.plotly_chart(percentiles(frames.sketched(page.sketches)), key="percentiles")
    st.caption(sentences.dropped_line(page.dropped_on))
else:
    st.caption("No request was answered." if page.sketches else "No request was sent.")

st.subheader("Machine")
cards = facts.host.cards
parts = memory_parts(facts.measurements, cards[0].memory_bytes if cards else None)
if parts:
    st.markdown("**Where the memory went**")
    st.plotly_chart(memory_stack({"": parts}), key="memory")
if page.telemetry:
    devices = {card.uuid: f"GPU {index}" for index, card in enumerate(cards)} | {"cpu": "host"}
    readings = frames.telemetry(page.telemetry, devices)
    window = frames.window(launch.started_at, facts.summary)
    st.plotly_chart(telemetry(readings, window_s=window), key="telemetry")
    st.caption(
        "Shaded: while this trial measured. The launch served its other trials besides. Of the "
        "host, the memory is that of the engine's processes, and busy are all of its cores."
    )
    st.caption(" ".join(sentences.card_errors(page.telemetry, devices)))
else:
    st.caption("The machine was not observed during this launch.")

st.subheader("Command and log")
st.code(sentences.command_text(launch.command, launch.environment), language="bash")
if launch.effective:
    with st.expander("Settings read back from the running engine"):
        st.html(markup.facts(launch.effective))
if facts.build.packages:
    with st.expander(f"{len(facts.build.packages)} packages installed in its environment"):
        st.html(markup.facts(facts.build.package_versions))
st.caption("Last lines of the engine's log")
st.code(launch.log_tail or "(empty)", language=None)
