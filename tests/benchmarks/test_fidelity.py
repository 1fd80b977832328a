"""The fidelity benchmark's arithmetic, its readers of other tools' files and its server."""

import json
import os
import sys
import urllib.request
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from fidelity import figures, report, tokenizer, truth
from fidelity.measuring import judged, page, server
from fidelity.points import REFERENCE, RUNGS, Point, next_rung
from fidelity.tools.aiperf import AIPERF
from fidelity.tools.guidellm import GUIDELLM
from fidelity.tools.ours import OURS
from fidelity.tools.sglang import SGLANG
from fidelity.tools.tool import Call, Tool
from fidelity.tools.vllm import VLLM
from fidelity.truth import Seen
from hypothesis import given
from hypothesis import strategies as st

TTFT_S, GAPS_S = 0.005, (0.010, 0.012, 0.011)
MEAN_S = sum(GAPS_S) / 3


def stream(number: int, name: str = "", begin_s: float = 100.0) -> dict[str, Any]:
    """Four tokens, as the reference server tells of them."""
    left_s = list(accumulate((begin_s + TTFT_S, *GAPS_S)))
    return {
        "number": number,
        "name": name,
        "came_s": begin_s,
        "left_s": left_s,
        "took_s": [1e-5] * 4,
    }


def seen(name: str, late_s: float = 0.0) -> Seen:
    """Every event that late, the last one once more."""
    gaps_s = (*GAPS_S[:-1], GAPS_S[-1] + late_s)
    return Seen(stream=name, ttft_s=TTFT_S + late_s, gaps_s=gaps_s, mean_gap_s=MEAN_S + late_s / 3)


def test_what_a_tool_saw_is_set_against_its_own_stream() -> None:
    streams = [stream(0, "a"), stream(1, "b"), stream(2)]
    found = truth.errors([seen("#2", 0.002), seen("b"), seen("a", 0.001)], streams)
    assert found.lost == 0
    assert found.ttft_s == pytest.approx((0.0, 0.001, 0.002))
    assert found.itl_s == pytest.approx((*[0.0] * 7, 0.001, 0.002))
    assert found.mean_itl_s == pytest.approx((0.0, 0.001 / 3, 0.002 / 3))


def test_a_stream_that_is_missing_or_has_other_tokens_is_lost() -> None:
    short = Seen(stream="b", ttft_s=TTFT_S, gaps_s=GAPS_S[1:], mean_gap_s=0.01)
    found = truth.errors([seen("a"), short], [stream(0, "a"), stream(1, "b"), stream(2, "c")])
    assert (found.lost, len(found.itl_s)) == (2, 3)


def test_warm_up_and_probes_are_not_the_load() -> None:
    warm, probe = stream(0, "w", 90.0), stream(1, "p", 99.0) | {"left_s": [99.1]}
    load = [stream(3, "b", 101.0), stream(2, "a", 100.0)]
    chosen = truth.load({"streams": [warm, probe, *load]}, 2, 4)
    assert [one["name"] for one in chosen] == ["a", "b"]


def test_the_rate_is_that_of_all_streams_together() -> None:
    steady = [{"left_s": [step * 0.01 for step in range(300)]} for _ in range(8)]
    assert truth.rate(steady) == pytest.approx(800, rel=0.02)
    one_by_one = [{"left_s": [at * 3.0 + step * 0.01 for step in range(300)]} for at in range(8)]
    assert truth.rate(one_by_one) == pytest.approx(100, rel=0.02)


def test_a_load_that_never_came_is_not_sustained(tmp_path: Path) -> None:
    our_file(tmp_path)
    happened = {"streams": [stream(0, "1007")], "late_s": [0.0], "step_s": [0.0]}
    found = judged(OURS, a_call(tmp_path), happened, None)
    assert found["sustained"] is False
    assert found["failure"].startswith("the load came to")
    assert found["itl_s"]["p99"] == pytest.approx(0.0, abs=1e-9)


@given(st.lists(st.floats(0, 1e3), min_size=1))
def test_percentiles_are_values_that_were_seen(values: list[float]) -> None:
    found = truth.of(sorted(values))
    assert found is not None
    assert set(found.values()) <= set(values)
    assert found["p50"] <= found["p99"] <= found["max"] == max(values)
    assert truth.of([]) is None


@given(top=st.integers(-1, len(RUNGS) - 1), start=st.integers(0, len(RUNGS) - 1))
def test_a_climb_finds_the_highest_rung_that_is_sustained(top: int, start: int) -> None:
    passed: dict[int, bool] = {}
    while (rung := next_rung(passed, start)) is not None:
        assert rung not in passed
        passed[rung] = rung <= top
    assert max((rung for rung, good in passed.items() if good), default=-1) == top
    assert len(passed) <= abs(top - start) + 2


def vllm_file(folder: Path) -> None:
    rows = {"ttfts": [TTFT_S, 0.0], "itls": [list(GAPS_S), []], "errors": ["", "refused"]}
    (folder / "vllm.json").write_text(json.dumps(rows))


def sglang_file(folder: Path) -> None:
    rows = {"ttfts": [TTFT_S, 0.0], "itls": [list(GAPS_S), []], "errors": ["", "refused"]}
    texts = {"generated_texts": [" #7 a a a", ""], "request_rate": float("inf")}
    (folder / "sglang.jsonl").write_text(json.dumps(rows | texts) + "\n")


def guidellm_file(folder: Path) -> None:
    row = {
        "output": " #7 a a a",
        "time_to_first_token_ms": TTFT_S * 1e3,
        "inter_token_latency_ms": MEAN_S * 1e3,
    }
    requests = {"successful": [row], "errored": [], "incomplete": [], "total": None}
    (folder / "guidellm.json").write_text(json.dumps({"benchmarks": [{"requests": requests}]}))


def aiperf_file(folder: Path) -> None:
    metrics = {
        "time_to_first_token": {"value": TTFT_S * 1e3, "unit": "ms"},
        "inter_chunk_latency": {"value": [gap * 1e3 for gap in GAPS_S], "unit": "ms"},
    }
    good = {"metadata": {"x_request_id": "id-7"}, "metrics": metrics, "error": None}
    bad = {"metadata": {"x_request_id": "id-8"}, "metrics": {}, "error": {"code": 500}}
    (folder / "profile_export.jsonl").write_text("\n".join(map(json.dumps, (good, bad))))


def our_file(folder: Path) -> None:
    event_s = list(accumulate((TTFT_S, *GAPS_S), initial=1.0))[1:]
    row = {"name": "1007", "sent_s": 1.0, "event_s": event_s, "event_tokens": [1, 2, 3, 4]}
    bad = {"name": "1008", "sent_s": 1.0, "event_s": [], "event_tokens": [], "error": "refused"}
    result = {"cpu_s": 0.5, "requests": [row | {"error": None}, bad]}
    (folder / "ours.json").write_text(json.dumps(result))


FILES: dict[str, tuple[Tool, Callable[[Path], None], str]] = {
    "vllm": (VLLM, vllm_file, "measured-0"),
    "sglang": (SGLANG, sglang_file, "#7"),
    "guidellm": (GUIDELLM, guidellm_file, "#7"),
    "aiperf": (AIPERF, aiperf_file, "id-7"),
    "ours": (OURS, our_file, "1007"),
}


@pytest.mark.parametrize("tool", FILES)
def test_a_tools_result_is_read_without_its_failed_requests(tool: str, tmp_path: Path) -> None:
    read, write, name = FILES[tool]
    write(tmp_path)
    (one,) = read.read(tmp_path)
    assert one.stream == name
    assert (one.ttft_s, one.mean_gap_s) == pytest.approx((TTFT_S, MEAN_S))
    assert one.gaps_s is None if read is GUIDELLM else one.gaps_s == pytest.approx(GAPS_S)


def a_call(folder: Path, port: int = 1, streams: int = 1) -> Call:
    point = Point(streams=streams, itl_ms=5.0, seconds=0.02)
    return Call(place=folder, port=port, point=point, tokenizer=folder, folder=folder)


def test_a_tool_without_a_result_has_failed_and_not_measured(tmp_path: Path) -> None:
    happened = {"streams": [stream(0)], "cpu_s": 1.0, "late_s": [0.0], "step_s": [0.0]}
    found = judged(VLLM, a_call(tmp_path), happened, None)
    assert found["sustained"] is False
    assert "FileNotFoundError" in found["failure"]
    assert judged(VLLM, a_call(tmp_path), happened, "exit code 1")["failure"] == "exit code 1"
    nothing = judged(VLLM, a_call(tmp_path), {"streams": []}, None)
    assert nothing == {"failure": "no request had the length that was asked", "sustained": False}


def test_the_reference_server_tells_when_its_events_left() -> None:
    core = min(os.sched_getaffinity(0))
    asked = {"prompt": [42, 1], "max_tokens": 3, "stream": True}
    with server(Point(streams=1, itl_ms=2.0, seconds=0.01), core) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/completions",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            said = answer.read().decode().split("\n\n")
        happened = page(port, "/truth")
    events = [json.loads(one.removeprefix("data: ")) for one in said[:3]]
    assert said[3:] == ["data: [DONE]", ""]
    assert [one["choices"][0]["text"] for one in events] == [" #0", " a", " a"]
    (one,) = happened["streams"]
    assert one["name"] == "42"
    assert [event["sent_s"] for event in events] == pytest.approx(one["left_s"])
    assert one["came_s"] < one["left_s"][0] < one["left_s"][1] < one["left_s"][2]


def row(tool: Tool, run: int, rung: int, p99_s: float) -> dict[str, Any]:
    streams, itl_ms = RUNGS[rung]
    error = {"p50": p99_s / 2, "p99": p99_s, "max": 2 * p99_s}
    return {
        "tool": tool.name,
        "run": run,
        "streams": streams,
        "itl_ms": itl_ms,
        "took_s": 1.0,
        "itl_s": error,
        "mean_itl_s": error,
        "ttft_s": error,
        "failure": None,
        "sustained": p99_s <= 1e-3,
        "events_per_s": streams * 1e3 / itl_ms,
        "cpu_per_event_s": p99_s,
        "server": {"late_s": error, "step_s": error, "doubt_s": error},
    }


def test_targets_are_set_against_the_best_peer() -> None:
    rows = [row(OURS, run, REFERENCE, 20e-6) for run in range(3)]
    rows += [row(OURS, 0, REFERENCE + 1, 1.0)]
    rows += [row(VLLM, 0, REFERENCE, 200e-6), row(AIPERF, 0, REFERENCE, 80e-6)]
    told = report.targets(rows, [OURS, VLLM, AIPERF])
    assert "| p99 error of ITL, us | 20.0 | at most 100.0 | reached |" in told
    assert "best peer's | 20.0 | at most 16.0 | **missed** |" in told
    assert "| 6,400 | at least 19,200 | **missed** |" in told


def test_the_highest_rate_is_that_of_each_run() -> None:
    rows = [row(OURS, 0, rung, 1e-4 if rung < 5 else 1.0) for rung in range(7)]
    rows += [row(OURS, 1, 0, 1.0)]
    assert figures.sustained(rows, OURS) == [9600.0, 0.0]
    assert figures.end(rows[:6], OURS) == "128 x 100/s: p99 error 1,000.0 ms"
    assert figures.spread([3.0, 1.0, 2.0], 1e3) == "2,000 (1,000..3,000)"


def test_the_tokenizer_has_a_token_for_each_byte(tmp_path: Path) -> None:
    content = json.loads((tokenizer.write(tmp_path) / "tokenizer.json").read_text())
    assert len(set(tokenizer.byte_letters())) == 256
    assert len(content["model"]["vocab"]) == 257


def test_every_tool_is_called_by_its_own_command(tmp_path: Path) -> None:
    for tool in (OURS, VLLM, SGLANG, GUIDELLM, AIPERF):
        words = tool.command(a_call(tmp_path, streams=8))
        assert words[0].startswith((str(tmp_path), sys.executable))
        assert any("8" in word for word in words[1:])
