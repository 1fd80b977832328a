"""What the page Detector asks of the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from regressions.meters import FalseAlarms, NightCost, false_alarms, hours_a_launch, night_costs
from regressions.policy import read_policy
from regressions.power import KINDS, SeriesPower, series_power
from schema.cells import Cell, Gpu
from schema.session import reading
from schema.store.cells import cells
from schema.store.costs import launch_costs
from schema.store.nights import nights
from schema.store.silent import ShadowSummary, TwoVerdicts, control_verdicts, two_verdicts
from schema.store.silent import shadows as stored_shadows
from schema.store.values import values_between
from schema.trials import Arm

NIGHTS = 30
"""The newest ones, which tell what series show and what decisions cost."""
FRESH_S = 60


@dataclass(frozen=True, kw_only=True)
class DetectorPage:
    """The meters of the policy in force."""

    nights: Sequence[str]
    """Newest first."""
    cells: Sequence[Cell]
    alarms: FalseAlarms
    """Of every night that this policy has judged."""
    power: Sequence[SeriesPower]
    costs: Sequence[NightCost]
    launch_hours: Mapping[str, float]
    """Of one launch, by family."""
    unit: str
    """Of what costs are told in: GPU, or host where no launch had a GPU. Never both in one sum."""


@dataclass(frozen=True, kw_only=True)
class ShadowPage:
    """What a policy in shadow said."""

    both: Sequence[TwoVerdicts]
    alarms: FalseAlarms


@st.cache_data(ttl=FRESH_S, show_spinner="Measuring the detector")
def detector() -> DetectorPage:
    """Raises BadDocument."""
    policy = read_policy()
    with reading() as session:
        newest = nights(session, limit=NIGHTS)
        names, every = [one.name for one in newest], cells(session)
        launches = launch_costs(session, names)
        on_gpus = [one for one in launches if one.gpu is not Gpu.CPU]
        alarms = false_alarms(control_verdicts(session, policy.key))
        arms = (*KINDS, Arm.CONTROL, Arm.RELEASE_BASELINE)
        keys = [cell.key for cell in every]
        values = values_between(session, keys, names[-1], names[0], arms) if names else []
    return DetectorPage(
        nights=names,
        cells=every,
        alarms=alarms,
        power=series_power(values, policy),
        costs=night_costs(on_gpus or launches, newest),
        launch_hours=hours_a_launch(on_gpus or launches),
        unit="GPU" if on_gpus else "host",
    )


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def shadows() -> list[ShadowSummary]:
    """Policies that have judged in shadow, the one that judged last first."""
    with reading() as session:
        return stored_shadows(session)


@st.cache_data(ttl=FRESH_S, max_entries=8, show_spinner="Reading the shadow's verdicts")
def shadow(policy: str) -> ShadowPage:
    """By the hash of the policy."""
    with reading() as session:
        return ShadowPage(
            both=two_verdicts(session, policy),
            alarms=false_alarms(control_verdicts(session, policy)),
        )
