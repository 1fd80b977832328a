"""A release, really: vLLM on this machine's cores, through Airflow, into Postgres, onto a page."""

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from runners import device
from schema.judgements import Judgement, Verdict
from schema.session import reading
from schema.store.judgements import judgements
from schema.trials import TrialState
from tailwatch.home import REPOSITORY

if TYPE_CHECKING:
    from tests.system.conftest import Site

pytestmark = [pytest.mark.airflow, pytest.mark.engine, pytest.mark.timeout(1800)]

NIGHT = "2026-11-22-real"
FAMILY = "vllm/tiny-llama/bf16/cpu/tp1/enforce-eager"
CELLS = (f"{FAMILY}/closed-4", f"{FAMILY}/open-8")
POLL_S = 10.0
"""Rarely: what watches the measurement costs time on the cores that are measured."""
PLACES = tuple(f"cpu-{number}" for number in range(device.CPU_PLACES))
EXACT = {"kv_cache_capacity", "weight_memory", "graph_memory"}


@pytest.fixture(scope="module")
def engines(installed: None) -> None:
    """Real ones."""


@pytest.fixture(scope="module")
def released(site: "Site") -> "Site":
    """The stack after a release of one launch a side; what other work spoilt is repeated once."""
    site.begin(NIGHT, *CELLS, contender="vllm==0.32.0+onecore", baseline="0.32.0")
    if site.end(NIGHT, poll_s=POLL_S).state == "failed":
        site.take_up(NIGHT)
    run = site.end(NIGHT, poll_s=POLL_S)
    assert run.state == "success", [trial.reason for trial in site.trials(NIGHT)]
    return site


@pytest.fixture(scope="module")
def judged(released: "Site") -> list[Judgement]:
    with reading(released.database) as session:
        return judgements(session, NIGHT)


def test_every_trial_is_valid_and_keeps_all_its_requests(released: "Site") -> None:
    states = Counter(trial.state for trial in released.trials(NIGHT) if not trial.replaced)
    assert states == {TrialState.VALID: 4}
    assert released.requests(NIGHT) == {24}
    assert released.waiting(NIGHT) == []


def test_one_launch_a_side_decides_nothing_and_says_why(judged: list[Judgement]) -> None:
    noisy = [one for one in judged if one.comparison.metric not in EXACT]
    assert {one.comparison.metric for one in noisy} >= {"output_throughput", "itl_p50", "ttft_p50"}
    assert {one.verdict for one in noisy} == {Verdict.INCONCLUSIVE}
    tested = [one for one in noisy if one.comparison.p is not None]
    assert {one.reason for one in tested} == {
        "least reachable p is 1.0 with 1 v 1 trials; alpha 0.01 needs 5 v 5"
    }


def test_no_engine_is_left(released: "Site") -> None:
    assert device.leftovers(PLACES) == []


@pytest.mark.parametrize("view", ["tonight", "trial"])
def test_its_pages_render(released: "Site", monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    monkeypatch.setenv("DATABASE_URL", released.database)
    st.cache_data.clear()
    page = AppTest.from_file(str(REPOSITORY / "dashboard" / "app.py"), default_timeout=60).run()
    page.switch_page(f"views/{view}.py")
    page.query_params["night"] = NIGHT
    page.run()
    st.cache_data.clear()
    assert not page.exception
    assert not page.error
    assert "tiny-llama" in " ".join(own.body for own in page.html)
