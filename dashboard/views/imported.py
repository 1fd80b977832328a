"""Imported: what other people's tools measured, each under its own definition."""

import streamlit as st

from dashboard import queries, tables
from dashboard.address import asked, choice
from dashboard.charts.imported import imported
from dashboard.imported import (
    NOTHING_IMPORTED,
    definition_line,
    gallery,
    matching,
    points_line,
    series_line,
    subject_line,
    subject_title,
    tool_line,
)
from dashboard.units import scale
from schema.imports import Tool
from schema.trials import TrialState

MOST_SHOWN = 240
LEAST_VALUES = 4

tools = {own.tool.value: own for own in queries.import_summaries()}
if not tools:
    st.info(NOTHING_IMPORTED)
    st.stop()


def one_series(subject: str, definition: str, tool: Tool) -> None:
    """The chart of one series, its definition in words beside it."""
    points = queries.imported_points(subject, definition)
    meaning, facts = queries.imported_meaning(tool, subject, definition)
    st.subheader(subject_title(facts))
    st.caption(subject_line(facts))
    st.markdown(definition_line(meaning))
    commits = [own.committed_at for own in points]
    by_commit = all(commits) and st.toggle(
        "By time of commit", help="Old builds run again later stand where their source belongs"
    )
    values = [own.value for own in points if own.state is TrialState.VALID]
    st.plotly_chart(
        imported(points, scale=scale(meaning.unit, *values), by_commit=by_commit), key="imported"
    )
    wrong = sum(own.state is not TrialState.VALID for own in points)
    st.caption(points_line(len(points) - wrong, wrong))
    with st.expander(f"All {len(points)} trials"):
        st.html(tables.imported(points, meaning.unit))
    st.html(f'<a href="imported?tool={tool}" target="_self">All series of {tool}</a>')


def overview(tool: Tool) -> None:
    """Every series under one definition, as small pictures."""
    series = queries.imported_series(tool)
    found: dict[str, int] = {}
    for own in series:
        found[own.definition] = found.get(own.definition, 0) + (own.values >= LEAST_VALUES)
    meanings = {own.definition: own.meaning for own in series}
    order = sorted(found, key=lambda key: (-found[key], meanings[key].name))
    left, right = st.columns([2, 2])
    with left:
        names = {key: f"{meanings[key].name} ({found[key]} series)" for key in order}
        definition = choice("Definition", names, f"{tool}-definition")
    with right:
        words = st.text_input("Search", placeholder="model, engine, GPU, tokens, in flight")
    st.markdown(definition_line(meanings[definition]))
    together = [one for one in series if one.definition == definition]
    shown = matching(together, words)
    least = LEAST_VALUES if any(one.values >= LEAST_VALUES for one in shown) else 1
    long = [one for one in shown if one.values >= least]
    drawn = long[:MOST_SHOWN]
    st.caption(series_line(len(together), len(shown), len(drawn), least))
    if drawn:
        st.html(gallery(drawn, tool))


labels = {name: tool_line(own) for name, own in tools.items()}
asked_subject, asked_definition = asked("subject"), asked("definition")
if asked_subject and asked_definition:
    one_series(asked_subject, asked_definition, Tool(asked("tool") or next(iter(tools))))
else:
    largest = max(tools, key=lambda key: tools[key].trials)
    overview(Tool(choice("Tool", labels, "tool", default=largest)))
