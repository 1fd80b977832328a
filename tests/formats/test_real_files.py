"""Files that the tools themselves wrote; skipped where they are absent."""

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from formats.recognise import read
from schema.imports import ImportedTrial
from schema.trials import TrialState

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
HISTORY = "rocm_atom_nightly_until_2026-04.csv.gz"


@pytest.fixture(scope="module")
def history(shared_data: Path) -> tuple[ImportedTrial, ...]:
    return read(HISTORY, (shared_data / HISTORY).read_bytes()).trials


def test_every_real_file_is_read_as_documented(shared_data: Path) -> None:
    """One row of docs/formats.md for each tool and schema."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for path in [*sorted((shared_data / "results").rglob("*.*")), shared_data / HISTORY]:
        file = read(path.name, path.read_bytes())
        own = counts[file.tool, file.generation]
        own["files"] += 1
        for trial in file.trials:
            own["trials"] += 1
            own[trial.state] += 1
            own["requests"] += len(trial.requests)
            own["values"] += len(trial.values)
    columns = ("files", "trials", TrialState.FAILED, TrialState.INVALID, "requests", "values")
    for (tool, generation), own in counts.items():
        figures = " | ".join(f"{own[column]:,}" for column in columns)
        assert f"| `{tool}` | `{generation}` | {figures} |" in DOCUMENTED


def test_what_is_recomputed_agrees_with_what_vllm_computed(shared_data: Path) -> None:
    path = shared_data / "results" / "vllm" / "vllm_bench_0.32_save_detailed.json"
    (trial,) = read(path.name, path.read_bytes()).trials
    values = {definition.name: value for definition, value in trial.values.items()}
    for percentile in (50, 90, 99):
        for ours, theirs in (("ttft", "ttft"), ("gap", "itl"), ("e2e", "e2el")):
            recomputed = values[f"recomputed_{ours}_p{percentile}"]
            assert recomputed == pytest.approx(values[f"p{percentile}_{theirs}_ms"], rel=1e-9)


def test_a_zero_of_the_history_is_a_failed_trial(history: tuple[ImportedTrial, ...]) -> None:
    states = Counter(trial.state for trial in history)
    assert states == {TrialState.VALID: 8268, TrialState.INVALID: 29, TrialState.FAILED: 23}
    assert all(value > 0 for trial in history for value in trial.values.values())


def test_the_history_has_more_than_a_hundred_series(history: tuple[ImportedTrial, ...]) -> None:
    series = Counter(
        (trial.subject.key(trial.tool), definition.key)
        for trial in history
        if trial.state is TrialState.VALID
        for definition in trial.values
    )
    assert sum(count >= 10 for count in series.values()) > 100


def test_upload_order_is_not_commit_order(history: tuple[ImportedTrial, ...]) -> None:
    """Both times are kept, because old images were run again later."""
    times = [(own.measured_at, own.committed_at) for own in history if own.measured_at]
    known = sorted((measured, committed) for measured, committed in times if committed)
    assert any(later[1] < earlier[1] for earlier, later in pairwise(known))
