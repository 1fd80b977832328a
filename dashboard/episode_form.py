"""The form in which a person says something about an episode."""

from datetime import date

import streamlit as st

from dashboard import queries
from regressions.people import MAY, Refused
from schema.episodes import Episode, EpisodeState

_SAYS = {
    EpisodeState.ACKNOWLEDGED: "acknowledge: somebody knows about it",
    EpisodeState.EXPECTED: "expect: it stays so, the new level is the baseline",
    EpisodeState.INFRASTRUCTURE: "infrastructure: the host's people have to act",
    EpisodeState.CONFIRMED: "confirm: it is real, open it again if it is closed",
    EpisodeState.FIXED: "close as fixed",
    EpisodeState.NOT_REPRODUCED: "close as not reproduced",
    EpisodeState.TRANSIENT: "close as transient",
}


def episode_form(episode: Episode) -> None:
    """Offers only what this state allows; shows every mistake, or the page anew."""
    said = _asked(episode)
    if said is None:
        return
    try:
        queries.say(episode.key, **said)
    except Refused as refused:
        for mistake in str(refused).splitlines():
            st.error(mistake)
        return
    st.rerun()


def _asked(episode: Episode) -> queries.Said | None:
    """What was filled in; None until the button is pressed."""
    allowed = [state for state in _SAYS if episode.state in MAY[state]]
    step = len(episode.history)  # after each step the form is a new, empty one
    with st.form(f"say-{step}", border=True):
        state = st.selectbox(
            "State",
            [None, *allowed],
            format_func=lambda own: f"stays {episode.state}" if own is None else _SAYS[own],
            key=f"state-{step}",
        )
        owner = st.text_input("Owner", placeholder=episode.owner or "nobody", key=f"owner-{step}")
        due = st.date_input("Due", value=None, format="YYYY-MM-DD", key=f"due-{step}")
        link = st.text_input("Link", placeholder=episode.link or "https://…", key=f"link-{step}")
        by = st.text_input("Your name", key="by")
        reason = st.text_area("Reason", height=80, key=f"reason-{step}")
        if not st.form_submit_button("Say it", type="primary"):
            return None
    return {
        "by": by,
        "reason": reason,
        "state": state,
        "owner": owner.strip() or None,
        "due": due if isinstance(due, date) else None,
        "link": link.strip() or None,
    }
