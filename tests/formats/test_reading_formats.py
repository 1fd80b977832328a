"""Every schema generation of every tool, from files made up for these tests.

UPDATE_GOLDEN=1 writes what was read anew; review it like code.
"""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from formats.errors import Unreadable
from formats.recognise import read
from schema.imports import ImportedFile, ImportedTrial, Tool
from schema.trials import TrialState

FIXTURES = Path(__file__).parent / "fixtures"
GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
FILES = sorted(path.name for path in FIXTURES.iterdir())


def imported(name: str) -> ImportedFile:
    return read(name, (FIXTURES / name).read_bytes())


def values(trial: ImportedTrial) -> dict[str, float]:
    return {definition.name: value for definition, value in trial.values.items()}


def changed(name: str, **keys: Any) -> bytes:
    """A fixture of one object with some keys replaced; None removes one."""
    document = json.loads((FIXTURES / name).read_text()) | keys
    return json.dumps({key: value for key, value in document.items() if value != "gone"}).encode()


def summary(file: ImportedFile) -> dict[str, Any]:
    """Everything that is kept of a file, to be read by people."""
    return {
        "tool": file.tool,
        "generation": file.generation,
        "trials": [
            {
                "line": trial.line,
                "state": trial.state,
                "reason": trial.reason,
                "tool_version": trial.tool_version,
                "subject": trial.subject.model_dump(mode="json", exclude_defaults=True),
                "build": trial.build,
                "image": trial.image,
                "measured_at": str(trial.measured_at),
                "committed_at": str(trial.committed_at),
                "requests": len(trial.requests),
                "values": {
                    f"{own.name} [{own.generation}]": f"{value:.9g} {own.unit}: {own.words}"
                    for own, value in sorted(trial.values.items(), key=lambda item: item[0].name)
                },
            }
            for trial in file.trials
        ],
    }


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_its_golden_summary_says(name: str) -> None:
    text = json.dumps(summary(imported(name)), indent=1, ensure_ascii=False) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.name} is missing: UPDATE_GOLDEN=1 writes it"
    assert text == path.read_text(encoding="utf-8"), "if meant, UPDATE_GOLDEN=1 and review"


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_recognised_by_its_content(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    known = read("any-name", data)
    assert known.trials == read("any-name", data, known.tool).trials
    for tool in set(Tool) - {known.tool, Tool.VLLM, Tool.VLLM_LATENCY}:
        with pytest.raises(Unreadable):
            read("any-name", data, tool)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encoding_and_compression_change_nothing(name: str, encoding: str) -> None:
    plain = (FIXTURES / name).read_bytes()
    coded = gzip.compress(plain.decode().encode(encoding))
    keys = [trial.key for trial in imported(name).trials]
    assert [trial.key for trial in read(name, coded).trials] == keys


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused_with_its_line(name: str) -> None:
    """Cut inside its last line: the first records of an appended file are whole, and not used."""
    text = (FIXTURES / name).read_text().rstrip().removesuffix(";")
    cut = text[: text.rfind("  duration")] if name.endswith("yaml") else text[:-1]
    with pytest.raises(Unreadable) as refusal:
        read(name, cut.encode())
    assert 1 <= refusal.value.line <= text.count("\n") + 1


EMPTY = [b"", b" \n\t", b"\xef\xbb\xbf", b"\xff\xfe", gzip.compress(b"", mtime=0)]


@pytest.mark.parametrize("data", EMPTY)
def test_an_empty_file_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="is empty"):
        read("empty", data)


def test_a_damaged_gzip_is_refused() -> None:
    packed = gzip.compress((FIXTURES / "vllm_0.10.json").read_bytes())
    with pytest.raises(Unreadable, match="ends too early"):
        read("cut", packed[:-30])


def test_a_message_tells_the_line_of_the_key() -> None:
    document = json.loads((FIXTURES / "vllm_benchmark_serving.json").read_text())
    text = json.dumps(document | {"mean_ttft_ms": "fast"}, indent=1)
    line = next(at for at, own in enumerate(text.splitlines(), 1) if "mean_ttft_ms" in own)
    with pytest.raises(Unreadable, match=r"`mean_ttft_ms` should be a number, not text") as refusal:
        read("x.json", text.encode())
    assert refusal.value.line == line


def test_a_run_without_answers_failed_and_has_no_values() -> None:
    good, bad = imported("vllm_0.33_appended.json").trials
    assert good.state is TrialState.VALID
    assert (bad.state, bad.values) == (TrialState.FAILED, {})
    assert bad.reason == "none of 4 requests was answered: Connection refused"


@pytest.mark.parametrize("nothing", [0.0, float("inf"), float("nan"), "inf", "NaN", None])
def test_what_was_not_measured_is_no_value(nothing: Any) -> None:
    (trial,) = read("x", changed("vllm_0.10.json", mean_ttft_ms=nothing)).trials
    assert "mean_ttft_ms" not in values(trial)
    assert "mean_tpot_ms" in values(trial)


def test_a_negative_time_makes_the_trial_invalid() -> None:
    (trial,) = read("x", changed("vllm_0.10.json", mean_ttft_ms=-1.0)).trials
    assert (trial.state, trial.reason) == (TrialState.INVALID, "mean_ttft_ms is negative: -1")
    assert "mean_ttft_ms" not in values(trial)


def test_lost_requests_make_the_trial_invalid_even_if_the_tool_does_not_count_them() -> None:
    (trial,) = read("x", changed("vllm_benchmark_serving.json", num_prompts=10)).trials
    assert (trial.state, trial.reason) == (TrialState.INVALID, "6 of 10 requests failed")


def test_percentiles_are_recomputed_from_answered_requests_only() -> None:
    (trial,) = imported("vllm_0.30_details.json").trials
    known = values(trial)
    assert known["recomputed_ttft_p50"] == pytest.approx(0.05)
    assert known["recomputed_gap_p50"] == pytest.approx(0.015)
    assert known["recomputed_gap_p99"] == pytest.approx(0.02)


def test_units_are_base_units() -> None:
    known = values(imported("guidellm_1.json").trials[0])
    assert known["request_latency.mean"] == 1.5  # seconds already
    assert known["time_to_first_token_ms.mean"] == pytest.approx(0.05)


def test_the_same_word_of_two_tools_has_two_definitions() -> None:
    """`inter_token_latency` of GuideLLM and AIPerf, `itl` of vLLM: no series holds two of them."""
    keys = [
        definition.key
        for name in FILES
        for trial in imported(name).trials
        for definition in trial.values
        if "inter_token" in definition.name or "itl" in definition.name
    ]
    tools = {
        definition.key: (definition.tool, definition.name, definition.generation)
        for name in FILES
        for trial in imported(name).trials
        for definition in trial.values
    }
    assert len({tools[key] for key in keys}) == len(set(keys)) > 20


def test_a_meaning_that_changed_begins_another_series() -> None:
    native, chunks = imported("sglang_0.5_details.jsonl").trials
    (old, *_) = imported("sglang_2024.jsonl").trials
    names = ("mean_itl_ms", "mean_itl_ms", "median_itl_ms")
    generations = {
        next(own.generation for own in trial.values if own.name == name)
        for trial, name in zip((native, chunks, old), names, strict=True)
    }
    assert generations == {"0.5 sglang", "0.5 openai", "2024"}


def test_yaml_says_the_same_as_json() -> None:
    yaml_trial = imported("guidellm_2.yaml").trials[0]
    json_trial = imported("guidellm_2.json").trials[0]
    assert yaml_trial.subject == json_trial.subject
    assert values(yaml_trial) == values(json_trial)


def test_a_record_is_the_same_trial_in_a_longer_file() -> None:
    single = imported("vllm_0.10.json").trials[0].key
    appended = (FIXTURES / "vllm_0.10.json").read_text() + (
        FIXTURES / "vllm_0.30_details.json"
    ).read_text()
    assert read("x", appended.encode()).trials[0].key == single


def test_a_history_keeps_its_traps_apart() -> None:
    trials = imported("atom.csv").trials
    told = [(trial.build, trial.state, trial.line) for trial in trials]
    assert told == [
        ("aaaa", TrialState.VALID, 2),  # published again two days later: one trial
        ("bbbb", TrialState.FAILED, 5),  # zeros
        ("cccc", TrialState.INVALID, 11),  # twice at one moment
        ("cccc", TrialState.INVALID, 12),
        ("dddd", TrialState.VALID, 13),
        ("dddd", TrialState.VALID, 14),
    ]
    assert trials[0].subject.gpus == 8
    assert trials[2].subject.input_tokens is None  # 0 was not told
    assert str(trials[1].committed_at) == "2026-03-15 09:00:00+00:00"


def test_cancelled_requests_are_counted_and_never_measured() -> None:
    (trial,) = imported("aiperf_2025.jsonl").trials
    assert [request.error for request in trial.requests] == [
        None,
        "RequestCancellationError: cancelled after 0.0 s",
        None,
    ]
    assert trial.state is TrialState.INVALID
    assert trial.requests[1].ttft_s is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1}', "is of no known tool (it begins with a)"),
        ("[1, 2]", "is of no known tool"),
        ("hello: [", "is neither JSON nor CSV nor YAML"),
        ("a,b,c\n1,2,3\n", "is of no known tool (it begins with a, b, c)"),
        ("[" * 100_000, "is not JSON that can be read"),
        ('{"benchmarks": [], "metadata": {"guidellm_version": "1"}}', "`benchmarks` is empty"),
        ('window.BENCHMARK_DATA = {"entries": {}}', "has no entries"),
    ],
)
def test_other_files_are_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read("x", text.encode())
    assert reason in refusal.value.reason


def test_yaml_that_repeats_itself_without_end_is_refused() -> None:
    """Eight anchors of eight repetitions each: 16 million times the first text."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
    body = "\n".join(lines) + "\nbenchmarks: [*a8]\nmetadata: {guidellm_version: x}\n"
    with pytest.raises(Unreadable):
        read("bomb.yaml", body.encode())
