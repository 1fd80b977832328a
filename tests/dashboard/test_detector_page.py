"""The page Detector over a real database, and its words."""

import re
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.charts.detector import calibration, reach
from dashboard.detector import alarms_line
from dashboard.power import sees, worst_first
from dashboard.units import MINUS
from regressions.meters import FalseAlarms
from regressions.night import judge_night
from regressions.policy import Policy, read_policy
from regressions.power import Scatter, SeriesPower
from regressions.silent import judge_in_shadow
from schema.judgements import Verdict
from schema.nights import Night, NightKind
from schema.session import writing
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.silent import SilentVerdict
from schema.trials import Arm, Build, Launch, Trial

Open = Callable[..., AppTest]
NIGHTS = [str(date(2026, 11, 1) + timedelta(days=at)) for at in range(9)]
KEEN = read_policy().model_copy(update={"alpha": 0.05, "q": 0.5})


@pytest.fixture
def nightlies(
    database_url: str,
    make_night: Callable[..., Night],
    make_trial: Callable[..., Trial],
    make_launch: Callable[..., Launch],
    make_build: Callable[[str], Build],
) -> str:
    """Nine judged nights with a control arm that leaps in the last one; itl_p99 is too noisy."""
    random = np.random.default_rng(4)
    for name in NIGHTS:
        plan = make_night(name, launches=6)
        with writing(database_url) as session:
            record_night(session, plan)
            for arm in (Arm.NIGHTLY, Arm.CONTROL):
                leap = 1.3 if (arm, name) == (Arm.CONTROL, NIGHTS[-1]) else 1.0
                for replicate in range(3):
                    trials = tuple(
                        make_trial(
                            cell,
                            not_estimable={},
                            measurements={
                                "itl_p50": 0.01 * leap * random.normal(1, 0.01),
                                "itl_p99": 0.02 * np.exp(random.normal(0, 0.5)),
                            },
                        )
                        for cell in plan.cells
                    )
                    place = {"night": name, "arm": arm, "replicate": replicate}
                    record(session, make_launch(trials=trials, build=make_build("0.31.0"), **place))
        with writing(database_url) as session:
            judge_night(session, name, read_policy())
    return database_url


def seen(page: AppTest) -> str:
    assert not page.exception, page.exception
    parts = [one.body for one in page.html]
    shown = (*page.markdown, *page.caption, *page.info, *page.warning, *page.subheader)
    parts += [one.value for one in shown]
    return " ".join(re.sub(r"<[^>]+>", " ", " ".join(parts)).split())


def body(page: AppTest, name: str) -> str:
    return next(one.body for one in page.html if f'aria-label="{name}"' in one.body)


def test_without_nights_the_page_says_how_to_make_some(database_url: str, open_page: Open) -> None:
    assert "No night is recorded yet" in seen(open_page(database_url, "detector"))


def test_without_a_control_arm_false_alarms_cannot_be_told(release, open_page: Open) -> None:
    text = seen(open_page(release.url, "detector"))
    assert "Cannot tell: no night has a control arm" in text
    assert "False alarms: cannot tell yet" in text
    assert "No policy judges in shadow" in text


def test_a_leap_of_the_control_arm_is_counted_and_shown(nightlies: str, open_page: Open) -> None:
    page = open_page(nightlies, "detector")
    text = seen(page)
    assert re.search(r"1 of \d control nights raised a false alarm: [\d.]+ % \(95 % interval", text)
    assert "which these nights are too few to tell" in text
    alarms = body(page, "false alarms")
    assert alarms.count("<tr>") == 1 + 2
    assert "itl_p50" in alarms
    assert "itl_p99" not in alarms


def test_series_stand_worst_first_and_the_noisy_ones_again(nightlies: str, open_page: Open) -> None:
    page = open_page(nightlies, "detector")
    rows = re.findall(r"(itl_p\d\d)</code>", body(page, "power"))
    assert rows == ["itl_p99", "itl_p99", "itl_p50", "itl_p50"]
    assert re.findall(r"(itl_p\d\d)</code>", body(page, "too noisy")) == ["itl_p99", "itl_p99"]
    assert "You would see +6.0 % in 1 night." in seen(page)
    assert "27 v 3 trials would not show +20.0 % within 5 nights" in seen(page)


def test_the_address_chooses_the_change_to_look_for(nightlies: str, open_page: Open) -> None:
    page = open_page(nightlies, "detector", change="10")
    assert "You would see +10.0 % in 1 night." in seen(page)
    box = next(one for one in page.selectbox if one.label == "Change to look for")
    box.select("3").run()
    assert page.query_params["change"] == "3"


def test_a_decision_has_its_price_in_gpu_hours(nightlies: str, open_page: Open) -> None:
    text = seen(open_page(nightlies, "detector"))
    # nine nights of six launches of three minutes on one card
    each = r"9 nights used 2\.7 GPU-hours and decided (\d+) comparisons: ([\d.]+) GPU-hours"
    found = re.search(each, text)
    assert found is not None
    assert float(found[2]) == pytest.approx(2.7 / int(found[1]), abs=0.006)


def test_a_shadow_is_shown_beside_what_was_told(nightlies: str, open_page: Open) -> None:
    with writing(nightlies) as session:
        for name in NIGHTS:
            judge_in_shadow(session, name, KEEN)
    page = open_page(nightlies, "detector")
    text = seen(page)
    assert f"{KEEN.key}: 9 nights, last {NIGHTS[-1]}" in page.selectbox[-1].options
    assert re.search(r"\d+ of 34 verdicts in 9 nights differ\. The shadow raised a false", text)
    assert "Told \\ shadow" in text


def power(**facts: object) -> SeriesPower:
    given: dict[str, object] = {
        "cell": "c", "metric": "output_throughput", "kind": NightKind.NIGHTLY, "trials": 4,
        "nights": 14, "scatter": Scatter(trial=0.02, night=0.0), "min_change": 0.03,
        "min_trials": 3, "alpha": 0.01,
    }  # fmt: skip
    return SeriesPower(**given | facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "change", "told"),
    [
        (
            power(scatter=Scatter(trial=0.031, night=0.0)),
            -0.05,
            "You would see -5.0 % in 2 nights; 2 more trials a night would make it 1 and cost "
            "0.90 GPU-hours a night.",
        ),
        (power(), -0.2, "You would see -20.0 % in 1 night."),
        (power(), -0.02, "The policy tells no change below 3 %."),
        (
            power(trials=2),
            -0.2,
            "28 v 2 trials can show no change at all; 1 more trial a night would show "
            "-20.0 % in 1 night and cost 0.45 GPU-hours a night.",
        ),
        (
            power(
                kind=NightKind.RELEASE,
                nights=1,
                trials=5,
                scatter=Scatter(trial=0.025, night=None),
            ),
            -0.05,
            "5 v 5 trials would not show -5.0 % within 1 night; 3 more trials a side would show "
            "-5.0 % in 1 night and cost 2.7 GPU-hours.",
        ),
        (
            power(scatter=Scatter(trial=0.02, night=0.3)),
            -0.05,
            "56 v 4 trials would not show -5.0 % within 7 nights; nor would up to 20 trials a "
            "night show -5.0 %.",
        ),
        (
            power(scatter=None),
            -0.05,
            "Cannot tell: no night has two trials to tell their scatter by, or a value is not "
            "above 0; the policy asks for 3 trials a side.",
        ),
    ],
)
def test_what_a_series_shows_is_one_sentence(own: SeriesPower, change: float, told: str) -> None:
    assert sees(own, change, (0.45, "GPU")).replace(MINUS, "-") == told


def test_what_is_never_seen_comes_first_and_what_nobody_asks_for_last() -> None:
    noisy = power(cell="noisy", scatter=Scatter(trial=0.02, night=0.3))
    slow, quick = power(cell="slow"), power(cell="quick", scatter=Scatter(trial=0.001, night=0.0))
    ignored = power(cell="ignored", min_change=0.1)
    changes = {(one, "output_throughput"): -0.05 for one in ("noisy", "slow", "quick", "ignored")}
    ordered = worst_first([quick, ignored, slow, noisy], changes)
    assert [one.cell for one in ordered] == ["noisy", "slow", "quick", "ignored"]


@pytest.mark.parametrize(
    ("bad", "nights", "told"), [(0, 200, "and keeps that"), (3, 9, "and breaks that")]
)
def test_a_promise_is_kept_or_broken_where_the_nights_suffice(
    bad: int, nights: int, told: str, policy: Policy
) -> None:
    alarm = SilentVerdict(
        night="", cell="c", metric="itl_p50", verdict=Verdict.REGRESSION, reason="", change=0.1,
        p=0.001, p_adjusted=0.001,
    )  # fmt: skip
    alarms = tuple(
        SilentVerdict(**{**vars(alarm), "night": f"n{at}"})  # type: ignore[arg-type]
        for at in range(bad)
    )
    found = FalseAlarms(nights=nights, comparisons=nights, alarms=alarms, ps=())
    assert alarms_line(found, policy).endswith(f"of the nights, {told}.")


@pytest.fixture
def policy() -> Policy:
    return read_policy()


def test_the_picture_has_a_line_a_cell_and_one_for_what_matters() -> None:
    figure = reach([power(cell="a"), power(cell="b")], {"a": "first"})
    assert [own.name for own in figure.data] == ["first", "b", "least change that matters"]
    assert list(figure.data[0].x) == list(range(3, 21))
    assert list(figure.data[0].y) == sorted(figure.data[0].y, reverse=True)
    assert list(figure.data[0].marker.size)[1] > 1


def test_control_nights_climb_by_their_p() -> None:
    figure = calibration([("n1", 0.5), ("n2", 0.1)])
    assert list(figure.data[1].x) == [0.1, 0.5]
    assert list(figure.data[1].y) == [50, 100]
