"""What lies in examples/ can still be recorded: its documents were written by earlier code."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from regressions.policy import DEFAULT_POLICY, JUDGED, read_policy
from schema.arrivals import Arrival
from schema.metrics import METRICS
from schema.trials import Launch, TrialState
from stats.power import smallest_change
from stats.spread import variation
from tailwatch.documents import Documents
from tailwatch.home import REPOSITORY

HOPPER = REPOSITORY / "examples" / "hopper-2026-11"
ENOUGH_LAUNCHES, ENOUGH_CELLS, ENOUGH_VALUES = 5, 3, 3
IMPOSED = {"output_throughput", "goodput", "throughput_per_gpu_gb"}
"""What the schedule of an open loop decides, not the engine: as even as the schedule."""
STEPS = (0.01, 0.02, 0.03, 0.05, 0.10, 0.15, 0.20, 0.30, 0.40, 0.50)
"""Figures that a floor is written with."""


@pytest.fixture(scope="module")
def launches() -> list[Launch]:
    documents = Documents(HOPPER)
    found = [launch for _, launch in documents.launches()]
    assert {night.name for _, night in documents.nights()} == {one.night for one in found}
    assert not documents.broken
    return found


def test_the_readme_counts_its_launches(launches: list[Launch]) -> None:
    rows = (HOPPER / "README.md").read_text().splitlines()
    told = [row.split("|")[4].split() for row in rows if row.startswith("| `h")]
    assert sum(int(number) for own in told for number in own if number.isdigit()) == len(launches)


def test_every_request_has_the_times_of_its_tokens(launches: list[Launch]) -> None:
    requests = [own for one in launches for trial in one.trials for own in trial.requests]
    assert len(requests) == 58_072
    for own in requests:
        assert own.error is None
        assert own.event_tokens[-1] == own.output_tokens == 128
        assert list(own.event_s) == sorted(own.event_s)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Of one metric in the quietest of the cells with enough launches of one build."""

    cv: float
    nightly: float
    """The least change that a nightly shows four times in five: 3 trials against 14 nights of 3."""
    release: float
    """The same of 5 v 5 trials."""

    @property
    def words(self) -> str:
        figures = (100 * own for own in (self.cv, self.nightly, self.release))
        return "CV {:.2f} %: {:.1f} to {:.1f} %".format(*figures)


@pytest.fixture(scope="module")
def noise(launches: list[Launch]) -> dict[str, Noise]:
    """By metric; only what enough cells could estimate."""
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in launches:
        planted = "+" in one.build.version
        for trial in one.trials:
            if trial.state is TrialState.VALID and not planted:
                open_loop = trial.cell.workload.arrival is Arrival.OPEN_LOOP
                for metric, value in trial.measurements.items():
                    if not (open_loop and metric in IMPOSED):
                        values[trial.cell.key, one.build.name][metric].append(value)
    told = [own for own in values.values() if max(map(len, own.values())) >= ENOUGH_LAUNCHES]
    assert len(told) == 27
    found = {metric: _noise(metric, told) for metric in JUDGED}
    return {metric: own for metric, own in found.items() if own is not None}


def _noise(metric: str, told: list[dict[str, list[float]]]) -> Noise | None:
    spreads = [
        variation([own.get(metric, [])]) for own in told if len(own[metric]) >= ENOUGH_VALUES
    ]
    cvs = [own.cv for own in spreads if own is not None]
    if len(cvs) < ENOUGH_CELLS:
        return None
    policy, cv = read_policy(), min(cvs)
    window = 3 * policy.baseline_nights
    shown = [
        smallest_change(m, n, noise=cv, alpha=policy.alpha) or 0.0 for m, n in ((3, window), (5, 5))
    ]
    return Noise(cv=cv, nightly=shown[0], release=shown[1])


def _least(metric: str) -> float:
    """Below it nobody acts: 1 % of memory, 3 % of speed and energy, more of a tail."""
    if METRICS[metric].unit in ("B", "tok"):
        return 0.01
    if metric.endswith("_p99") or metric == "tail_ratio_itl":
        return 0.10
    return 0.05 if metric.endswith("_p90") else 0.03


def test_each_floor_is_what_the_measured_noise_lets_three_and_five_trials_show(
    noise: Mapping[str, Noise],
) -> None:
    floors = read_policy().min_change
    assert set(JUDGED) - set(noise) == {"goodput", "ttft_p99", "tpot_p99", "e2e_p99"}
    for metric, seen in noise.items():
        upper = next(step for step in STEPS if step >= seen.release)
        assert seen.nightly <= floors[metric] <= max(upper, _least(metric)), (metric, seen)
        assert floors[metric] >= _least(metric), metric


def test_the_verdicts_that_the_readme_shows_are_those_of_the_measurements() -> None:
    shown = (REPOSITORY / "README.md").read_text()
    rows = re.findall(r"^ +(regression|no change) +(\S+/\S+) +(\S+) +(.+?)  ", shown, re.MULTILINE)
    assert len(rows) == 2
    told = (REPOSITORY / "docs" / "measurements.md").read_text()
    for verdict, cell, metric, medians in rows:
        assert f"| {verdict} | {cell} | `{metric}` | {medians} | " in told


def test_a_tail_that_could_not_be_measured_has_no_lower_floor_than_the_tail_before_it() -> None:
    floors = read_policy().min_change
    for latency in ("ttft", "tpot", "e2e"):
        assert floors[f"{latency}_p99"] >= floors[f"{latency}_p90"] >= floors[f"{latency}_p50"]


def test_the_policy_tells_the_measured_noise_beside_each_floor(noise: Mapping[str, Noise]) -> None:
    section = DEFAULT_POLICY.read_text().partition("min_change:")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^  (\w+): \S+ +# (CV .*? to \S+ %)", section, re.MULTILINE))
    assert told == {metric: own.words for metric, own in noise.items()}
