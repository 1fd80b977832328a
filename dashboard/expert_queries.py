"""What the page MoE asks of the database about the choice of experts."""

import streamlit as st

from dashboard import experts, queries
from schema.cells import Cell, Engine, Gpu
from schema.session import reading
from schema.store.selections import selections
from schema.store.trials import failed_trials
from schema.store.values import values_of_latest


@st.cache_data(ttl=queries.FRESH_S, max_entries=10, show_spinner="Reading the selections")
def chosen(gpu: Gpu, engine: Engine) -> list[experts.Chosen]:
    """Which experts every build chose on one kind of GPU and engine, the latest nights."""
    untimed = _untimed(gpu, engine)
    with reading() as session:
        values = values_of_latest(session, list(untimed), queries.LATEST_NIGHTS)
        kept = selections(session, experts.trials_of(values))
    return experts.chosen(values, untimed, kept)


@st.cache_data(ttl=queries.FRESH_S, max_entries=10, show_spinner="Reading the selections")
def refused(gpu: Gpu, engine: Engine) -> list[str]:
    """What builds said that would not return them, each refusal once."""
    untimed = _untimed(gpu, engine)
    with reading() as session:
        failed = failed_trials(session, list(untimed))
    said = [experts.refused(own.reason or "") for own in failed]
    return list(dict.fromkeys(own for own in said if own is not None))


def _untimed(gpu: Gpu, engine: Engine) -> dict[str, Cell]:
    """Cells whose engines are asked for their experts, by key."""
    return {
        own.key: own
        for own in queries.cells()
        if own.family.returns_experts and (own.family.gpu, own.family.engine) == (gpu, engine)
    }
