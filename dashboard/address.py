"""Widgets whose value lives in the page's address, so that every view can be linked to."""

from collections.abc import Mapping

import streamlit as st


def asked(parameter: str) -> str | None:
    """What the address says, if anything."""
    return st.query_params.get(parameter)


def choice(
    label: str, options: Mapping[str, str], parameter: str, *, default: str | None = None
) -> str:
    """A select box over `options` (value to text) that reads and writes a query parameter.

    The address wins; a value it names that does not exist is reported, never silently replaced.
    """
    key = f"choice-{parameter}"
    wanted = asked(parameter)
    if wanted is not None and wanted not in options:
        st.warning(
            f"The address asks for {parameter} {wanted!r}, which is not recorded. "
            f"Choose another {label.lower()}, or check the link."
        )
    first = wanted if wanted in options else default
    st.session_state[key] = first if first in options else next(iter(options))

    def keep() -> None:
        st.query_params[parameter] = st.session_state[key]

    chosen = st.selectbox(
        label, list(options), format_func=lambda value: options[value], key=key, on_change=keep
    )
    return str(chosen)
