"""Each page over a real database: what it says, and that its address leads back to it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dags.retention import keep_house
from schema.nights import Night
from schema.session import writing
from schema.store.launches import record
from schema.store.nights import record_night

Open = Callable[..., AppTest]
Make = Callable[..., Any]


def _text(page: AppTest) -> str:
    """Everything a reader sees, without markup."""
    assert not page.exception, page.exception
    seen = [*page.markdown, *page.caption, *page.info, *page.warning, *page.error, *page.subheader]
    parts = [own.body for own in page.html] + [own.value for own in seen]
    return re.sub(r"<[^>]+>", " ", " ".join(parts))


def _links(page: AppTest) -> list[str]:
    bodies = " ".join(own.body for own in page.html)
    return [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', bodies)]


def test_tonight_says_in_one_sentence_what_got_slower(release, open_page: Open) -> None:
    text = _text(open_page(release.url))
    assert "1 of 4 cells got slower: tiny-mixtral open-3" in text
    assert "vllm==0.31.0 → vllm==0.32.0 · host bench-01" in text
    assert "42 trials: 39 valid, 1 invalid, 2 failed" in text


def test_tonight_tells_episodes_worse_better_undecided_and_failed_in_this_order(
    release, open_page: Open
) -> None:
    headings = [own.value for own in open_page(release.url).subheader]
    verdicts = ["Got worse", "Got better", "Could not be decided", "Failed"]
    assert headings == ["Episodes", *verdicts]


def test_what_could_not_be_decided_says_why(release, open_page: Open) -> None:
    text = _text(open_page(release.url))
    assert "least reachable p is 0.016 with 4 v 5 trials; alpha 0.01 needs 5 v 5" in text


def test_a_failed_trial_shows_its_reason_and_that_it_was_replaced(release, open_page: Open) -> None:
    text = _text(open_page(release.url))
    assert "the engine died with exit code 1 before it was ready" in text
    assert "replaced by a later valid attempt" in text


def test_every_finding_links_to_its_evidence(release, open_page: Open) -> None:
    links = _links(open_page(release.url))
    assert f"compare?night={release.night}&cell={release.cell}&metric=itl_p50" in links
    assert f"trial?trial={release.failed}" in links


def test_the_address_chooses_the_night(release, open_page: Open) -> None:
    page = open_page(release.url, night="2026-11-18")
    assert page.selectbox[0].value == "2026-11-18"
    assert "vllm==0.31.0 against the nights before" in _text(page)


def test_choosing_a_night_changes_the_address(release, open_page: Open) -> None:
    page = open_page(release.url)
    page.selectbox[0].select("2026-11-18").run()
    assert page.query_params["night"] == "2026-11-18"
    page.selectbox[0].select("2026-11-17").run()
    assert page.selectbox[0].value == "2026-11-17"


def test_an_unknown_night_is_reported_and_not_silently_replaced(release, open_page: Open) -> None:
    assert "'2020-01-01', which is not recorded" in _text(
        open_page(release.url, night="2020-01-01")
    )


def test_compare_shows_the_figures_behind_a_verdict(release, open_page: Open) -> None:
    page = open_page(
        release.url, "compare", night=release.night, cell=release.cell, metric="itl_p50"
    )
    text = _text(page)
    assert "Regression" in text
    assert "0.0079" in text
    assert "5 v 5" in text
    assert len(page.get("plotly_chart")) == 2


def test_compare_says_that_two_chosen_builds_are_exploratory(release, open_page: Open) -> None:
    page = open_page(release.url, "compare", left=release.cell, right=release.cell)
    assert "Exploratory" in _text(page)
    assert [own.label for own in page.selectbox][-1] == "Metric"
    assert len(page.get("plotly_chart")) == 2


def test_a_build_compared_with_itself_asks_for_another(release, open_page: Open) -> None:
    page = open_page(release.url, "compare", left=release.cell, right=release.cell)
    build = next(own for own in page.selectbox if own.label == "Contender build")
    baseline = next(own for own in page.selectbox if own.label == "Baseline build")
    assert "the same cell and build" in _text(build.select(baseline.value).run())


def test_compare_of_a_night_without_judgement_says_so(release, open_page: Open) -> None:
    text = _text(open_page(release.url, "compare", night="2026-11-18", cell=release.cell))
    assert "has no judgement of this cell" in text


def test_series_draws_every_trial_and_the_baseline_band(release, open_page: Open) -> None:
    page = open_page(release.url, "series", cell=release.cell, metric="itl_p50")
    text = _text(page)
    assert "robust standard deviations" in text
    assert len(page.get("plotly_chart")) == 1
    assert page.expander[0].label == "All 16 values"


def test_a_series_without_values_tells_where_to_look(release, open_page: Open) -> None:
    text = _text(open_page(release.url, "series", cell=release.cell, metric="ttft_p99"))
    assert "No valid trial of this cell has a value of ttft_p99" in text


def test_a_valid_trial_shows_its_metrics_requests_and_machine(release, open_page: Open) -> None:
    page = open_page(release.url, "trial", trial=release.valid)
    text = _text(page)
    assert "Valid: its numbers enter the samples" in text
    assert "not estimable: 60 requests, p99 needs 1000" in text
    assert "client-loop-lag: passed" in text
    assert len(page.get("plotly_chart")) == 4
    assert any("vllm serve" in own.value for own in page.code)
    assert any(own.label == "2 packages installed in its environment" for own in page.expander)


def test_a_trial_whose_requests_were_dropped_shows_their_sketches(
    own_database_url: str, open_page: Open, make_night: Make, make_launch: Make
) -> None:
    launch = make_launch(started_at=datetime(2020, 3, 9, tzinfo=UTC))
    with writing(own_database_url) as session:
        record_night(session, make_night())
        record(session, launch)
    keep_house(90, url=own_database_url)
    page = open_page(own_database_url, "trial", trial=launch.trial_key(launch.trials[0]))
    text = _text(page)
    assert f"Its requests were dropped on {datetime.now(UTC).date()}" in text
    assert "from the sketch of each latency, within 1 %" in text
    assert len(page.get("plotly_chart")) == 2  # percentiles and the machine


def test_an_invalid_trial_leads_with_its_reason(release, open_page: Open) -> None:
    text = _text(open_page(release.url, "trial", trial=release.invalid))
    assert "Invalid: a check failed" in text
    assert "client loop lag was 2.1 ms, the limit is 1 ms" in text


def test_a_failed_trial_shows_its_log_and_no_charts(release, open_page: Open) -> None:
    page = open_page(release.url, "trial", trial=release.failed)
    assert "Failed: it did not end" in _text(page)
    assert not page.get("plotly_chart")
    assert "CUDA error: out of memory" in page.code[1].value


def test_a_trial_links_to_the_others_of_its_launch(release, open_page: Open) -> None:
    links = _links(open_page(release.url, "trial", trial=release.valid))
    assert len({link for link in links if link.startswith("trial?")}) == 2


def test_without_a_key_the_trial_page_lists_the_newest_night(release, open_page: Open) -> None:
    page = open_page(release.url, "trial")
    assert page.subheader[0].value == f"Trials of {release.night}"
    assert f"trial?trial={release.valid}" in _links(page)


def test_an_unknown_trial_is_an_error_and_not_a_crash(release, open_page: Open) -> None:
    page = open_page(release.url, "trial", trial="0123456789abcdef")
    assert "no trial 0123456789abcdef is recorded" in page.error[0].value


@pytest.mark.parametrize("view", ["tonight", "series", "compare", "trial"])
def test_an_empty_database_names_the_next_step(
    database_url: str, open_page: Open, view: str
) -> None:
    assert "`make demo`" in _text(open_page(database_url, view))


@pytest.mark.parametrize("view", ["tonight", "series", "compare", "trial"])
def test_an_unreachable_database_is_one_sentence(open_page: Open, view: str) -> None:
    page = open_page("postgresql://nobody@127.0.0.1:1/nothing", view)
    assert "no connection to Postgres at 127.0.0.1:1/nothing" in page.error[0].value
    assert not page.exception


def test_without_an_address_the_database_is_asked_for(open_page: Open) -> None:
    assert "DATABASE_URL is not set" in open_page(None).error[0].value


def test_a_night_that_ran_nothing_says_so(
    database_url: str, make_night: Callable[..., Night], open_page: Open
) -> None:
    with writing(database_url) as session:
        record_night(session, make_night())
    text = _text(open_page(database_url))
    assert "Nothing ran" in text
    assert "Planned cell without a trial" in text
