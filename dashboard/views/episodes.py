"""Episodes: what is open and what was, and one of them with its history and what can be said."""

import streamlit as st

from dashboard import markup, queries, sentences
from dashboard.address import asked
from dashboard.episode_form import episode_form
from dashboard.episodes import (
    MEANING,
    episode_table,
    facts,
    history_table,
    member_table,
)
from dashboard.overview import short_names
from dashboard.sparkline import nightly_medians, sparkline
from regressions.sentences import worse_first
from schema.episodes import Episode

MOST_MEMBERS = 12


def show_list(found: list[Episode]) -> None:
    """Open ones first; the closed ones are folded."""
    opened = [one for one in found if one.is_open]
    closed = [one for one in found if not one.is_open]
    st.subheader("Open", anchor="open")
    if opened:
        st.html(episode_table(reversed(opened), name="open episodes"))
    else:
        st.caption("Nothing is open: every cell is at its last good or accepted level.")
    with st.expander(f"Closed: {len(closed)}", expanded=not opened and bool(closed)):
        if closed:
            st.html(episode_table(reversed(closed), name="closed episodes"))
        else:
            st.caption("None was closed yet.")


def show(episode: Episode) -> None:
    """One episode: why, what, how it came to be so, and what can be said about it."""
    st.page_link("views/episodes.py", label="All episodes")
    lines = [f"{MEANING[episode.state].capitalize()}. Why it is blamed:", *episode.cause.reasons]
    title = f"{episode.cause.words}: {episode.state}"
    st.html(markup.headline(title, tone=episode.verdict, below=lines))
    left, right = st.columns([1.9, 1], gap="large")
    with left:
        st.subheader("What it moved", anchor="members")
        show_members(episode)
        st.subheader("History", anchor="history")
        st.html(history_table(episode.history))
    with right:
        st.subheader("Facts", anchor="facts")
        st.html(markup.facts(facts(episode)))
        if episode.link:
            st.page_link(episode.link, label="Where the work on it is followed")
        st.subheader("Say something", anchor="say")
        episode_form(episode)


def show_members(episode: Episode) -> None:
    members = sorted(episode.members, key=worse_first)[:MOST_MEMBERS]
    names = short_names({cell.key: cell.slug for cell in queries.cells()})
    sparks = {
        (own.cell, own.metric): sparkline(nightly_medians(queries.series(own.cell, own.metric)))
        for own in members
    }
    st.html(member_table(members, names, sparks))
    if len(members) < len(episode.members):
        st.caption(f"The {len(members)} largest of {len(episode.members)} changes.")


found = queries.episodes()
chosen = asked("episode")
if not found:
    st.info(sentences.NO_EPISODES)
elif chosen is None:
    show_list(found)
else:
    match = [one for one in found if one.key == chosen]
    if match:
        show(match[0])
    else:
        st.warning(f"The address asks for episode {chosen!r}, which is not recorded.")
        show_list(found)
