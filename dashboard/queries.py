"""What the pages ask of the database: one session a page, kept for a short while."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypedDict, Unpack

import streamlit as st

from dashboard import sentences
from dashboard.levels import Level, levels_of
from regressions import people
from regressions.compare import compare, side
from regressions.policy import Policy, read_policy
from schema.cells import Cell, Engine, Gpu
from schema.episodes import Episode, EpisodeState
from schema.imports import Definition, Subject, Tool
from schema.judgements import Comparison, Judgement, Side
from schema.nights import Night
from schema.requests import Requests
from schema.session import reading, writing
from schema.store import annotations as stored_annotations
from schema.store import cells as stored_cells
from schema.store import episodes as stored_episodes
from schema.store import imported_series as stored_imports
from schema.store import judgements as stored_judgements
from schema.store import launches as stored_launches
from schema.store import nights as stored_nights
from schema.store import requests as stored_requests
from schema.store import sketches as stored_sketches
from schema.store import trials as stored_trials
from schema.store import values as stored_values
from schema.store.annotations import Annotation
from schema.store.imported_series import ImportedPoint, ImportedSeries, ImportSummary
from schema.store.nights import NightSummary
from schema.store.sketches import Bins
from schema.store.trials import TrialFacts, TrialSummary
from schema.store.values import Value
from schema.trials import Build, Telemetry

FRESH_S = 20
"""How old an answer may be while a night is still going on."""
LASTING_S = 3600
"""A trial never changes once it is recorded."""
MOST_NIGHTS = 400
LATEST_NIGHTS = 30
"""That a level is taken from."""
EXPLORATORY = "exploratory"
"""Takes the night's place in a comparison that no night judged."""


@dataclass(frozen=True, kw_only=True)
class NightPage:
    """Everything about one night."""

    plan: Night
    judgements: Sequence[Judgement]
    trials: Sequence[TrialSummary]
    unmeasured: Sequence[Cell]
    """Planned and never tried."""
    annotations: Sequence[Annotation]


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """Everything about one trial."""

    facts: TrialFacts
    requests: Requests
    sketches: Mapping[str, Bins]
    """How its latencies were distributed: what is left once its requests are dropped."""
    dropped_on: date | None
    """When requests of its month were dropped."""
    telemetry: Sequence[Telemetry]
    siblings: Sequence[TrialSummary]
    """Trials that the same launch served, this one included."""


class Said(TypedDict):
    """What a person says about an episode."""

    by: str
    reason: str
    state: EpisodeState | None
    owner: str | None
    due: date | None
    link: str | None


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def nights() -> list[NightSummary]:
    """A year of nights, newest first."""
    with reading() as session:
        return stored_nights.nights(session, limit=MOST_NIGHTS)


@st.cache_data(ttl=FRESH_S, max_entries=20, show_spinner="Reading the night")
def night(name: str) -> NightPage:
    """Raises UnknownNight."""
    with reading() as session:
        return NightPage(
            plan=stored_nights.night(session, name),
            judgements=stored_judgements.judgements(session, name),
            trials=stored_trials.trials_of_night(session, name),
            unmeasured=stored_nights.cells_without_trials(session, name),
            annotations=[
                own for own in stored_annotations.annotations(session) if own.night == name
            ],
        )


@st.cache_data(ttl=FRESH_S, show_spinner="Reading the episodes")
def episodes() -> list[Episode]:
    """Every episode, in the order in which they were opened."""
    with reading() as session:
        return stored_episodes.episodes(session)


def say(key: str, **said: Unpack[Said]) -> None:
    """The one thing that a page writes: what a person says. Raises Refused."""
    with writing() as session:
        people.say(session, key, **said)
    episodes.clear()


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def cells() -> list[Cell]:
    """Every cell, by slug."""
    with reading() as session:
        return stored_cells.cells(session)


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def builds() -> list[Build]:
    with reading() as session:
        return stored_cells.builds(session)


@st.cache_data(ttl=FRESH_S, max_entries=50, show_spinner="Reading the series")
def series(cell: str, metric: str) -> list[Value]:
    """Every valid trial's value, oldest night first."""
    with reading() as session:
        return stored_values.series(session, cell, metric)


@st.cache_data(ttl=FRESH_S, max_entries=10, show_spinner="Reading the levels")
def levels(gpu: Gpu, engine: Engine) -> list[Level]:
    """What every build showed in the cells of one kind of GPU and engine, the latest nights."""
    here = [own for own in cells() if (own.family.gpu, own.family.engine) == (gpu, engine)]
    measured = {own.key: own for own in here}
    with reading() as session:
        values = stored_values.values_of_latest(session, list(measured), LATEST_NIGHTS)
    return levels_of(values, measured)


def labels(cells: Sequence[str], metric: str) -> dict[str, str]:
    """Night, build, arm and replicate in words, by the key of each trial that has the metric."""
    return sentences.labels([own for cell in cells for own in series(cell, metric)])


@st.cache_data(ttl=FRESH_S, max_entries=50, show_spinner=False)
def annotations(cell: str, metric: str) -> list[Annotation]:
    with reading() as session:
        return stored_annotations.annotations(session, cell, metric)


@st.cache_data(ttl=LASTING_S, max_entries=20, show_spinner="Reading the trial")
def trial(key: str) -> TrialPage:
    """Raises UnknownTrial."""
    with reading() as session:
        facts = stored_trials.trial(session, key)
        others = stored_trials.trials_of_night(session, facts.summary.night)
        month = facts.launch.started_at.date().replace(day=1)
        return TrialPage(
            facts=facts,
            requests=stored_requests.requests(session, key),
            sketches=stored_sketches.sketches(session, key),
            dropped_on=stored_requests.dropped_on(session, month),
            telemetry=stored_launches.telemetry(session, facts.launch.key),
            siblings=[own for own in others if own.launch == facts.launch.key],
        )


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def import_summaries() -> list[ImportSummary]:
    """A line for each tool whose files were imported."""
    with reading() as session:
        return stored_imports.import_summaries(session)


@st.cache_data(ttl=FRESH_S, max_entries=8, show_spinner="Reading the imported series")
def imported_series(tool: Tool) -> list[ImportedSeries]:
    """Every series of a tool, those with most values first."""
    with reading() as session:
        return stored_imports.imported_series(session, tool)


@st.cache_data(ttl=FRESH_S, max_entries=50, show_spinner="Reading the series")
def imported_points(subject: str, definition: str) -> list[ImportedPoint]:
    """Raises UnknownSeries."""
    with reading() as session:
        return stored_imports.imported_points(session, subject, definition)


def imported_meaning(tool: Tool, subject: str, definition: str) -> tuple[Definition, Subject]:
    """What a series of a tool means, and what it was measured on."""
    own = next(
        series
        for series in imported_series(tool)
        if (series.subject, series.definition) == (subject, definition)
    )
    return own.meaning, own.facts


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def policy() -> Policy:
    """The policy in force; raises BadDocument."""
    return read_policy()


@st.cache_data(ttl=FRESH_S, max_entries=50, show_spinner="Comparing")
def explore(left: tuple[str, str], right: tuple[str, str]) -> list[Comparison]:
    """Every judged metric that both (cell key, build key) have, over all nights and arms.

    No verdict is drawn and nothing is corrected for the number of questions asked.
    """
    rules = read_policy()
    with reading() as session:
        baseline = stored_values.values_of(session, *left)
        contender = stored_values.values_of(session, *right)
    return [
        compare(
            night=EXPLORATORY,
            cell=right[0],
            metric=metric,
            baseline=_side(values),
            contender=_side(contender[metric]),
            policy=rules,
        )
        for metric, values in baseline.items()
        if metric in contender and metric in rules.min_change
    ]


def _side(values: Sequence[Value]) -> Side:
    return side(
        [own.build for own in values],
        [own.trial for own in values],
        [own.value for own in values],
    )
