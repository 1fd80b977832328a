"""What engines tell of themselves while they run: counters and settings."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from runners.engines.catalogue import ADAPTERS
from runners.engines.counters import Counters, gained
from runners.engines.sglang import EFFECTIVE, Sglang
from runners.engines.vllm import Vllm
from runners.errors import EngineRestarted
from runners.prometheus import parse
from schema.cells import Engine

VLLM_PAGE = """
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",model_name="m",le="+Inf"} 4.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 4.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} 0.5
vllm:time_to_first_token_seconds_count{engine="1",model_name="m"} 6.0
vllm:time_to_first_token_seconds_sum{engine="1",model_name="m"} 1.5
vllm:e2e_request_latency_seconds_count{engine="0",model_name="m"} 4.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="m"} 8.0
vllm:request_queue_time_seconds_count{engine="0",model_name="m"} 4.0
vllm:request_queue_time_seconds_sum{engine="0",model_name="m"} 0.25
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 3.0
vllm:prefix_cache_hits_total{engine="1",model_name="m"} 4.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 1.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 3.0
vllm:request_success_total{engine="1",finished_reason="length",model_name="m"} 6.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 160.0
vllm:generation_tokens_total{engine="0",model_name="m"} 320.0
vllm:num_preemptions_total{engine="0",model_name="m"} 2.0
"""
SGLANG_PAGE = """
sglang:num_requests_total{is_streaming="true",model_name="m"} 9.0
sglang:num_requests_total{is_streaming="false",model_name="m"} 1.0
sglang:prompt_tokens_total{is_streaming="true",model_name="m"} 160.0
sglang:generation_tokens_total{is_streaming="true",model_name="m"} 320.0
sglang:cached_tokens_total{cache_source="device",model_name="m"} 4.0
sglang:cached_tokens_total{cache_source="host",model_name="m"} 3.0
sglang:num_retracted_requests_total{model_name="m",tp_rank="0"} 2.0
sglang:time_to_first_token_seconds_sum{is_streaming="true",model_name="m"} 2.0
sglang:time_to_first_token_seconds_count{is_streaming="true",model_name="m"} 10.0
sglang:e2e_request_latency_seconds_sum{is_streaming="true",model_name="m"} 8.0
sglang:e2e_request_latency_seconds_count{is_streaming="true",model_name="m"} 4.0
sglang:queue_time_seconds_sum{model_name="m",tp_rank="0"} 0.25
sglang:queue_time_seconds_count{model_name="m",tp_rank="0"} 4.0
"""


@pytest.mark.parametrize(
    ("engine", "page"), [(Engine.VLLM, VLLM_PAGE), (Engine.SGLANG, SGLANG_PAGE)]
)
def test_counters_are_sums_over_engines_streams_and_reasons(engine: Engine, page: str) -> None:
    counters = ADAPTERS[engine].counters(parse(page))
    assert counters.requests == 10
    assert counters.cached_tokens == 7
    assert (counters.prompt_tokens, counters.output_tokens, counters.preemptions) == (160, 320, 2)
    assert counters.ttft_mean_s == pytest.approx(0.2)
    assert counters.e2e_mean_s == pytest.approx(2.0)
    assert counters.queue_mean_s == pytest.approx(0.0625)
    assert counters.itl_mean_s is None  # not on this page


def test_one_engine_does_not_read_the_others_page() -> None:
    assert Sglang().counters(parse(VLLM_PAGE)) == Counters()


def test_a_window_gains_what_was_counted_in_it() -> None:
    before = Counters(requests=3, output_tokens=30, ttft_s=1.0, ttft_count=3)
    after = Counters(requests=5, output_tokens=80, ttft_s=4.0, ttft_count=5, cached_tokens=8)
    assert gained(before, after) == Counters(
        requests=2, output_tokens=50, ttft_s=3.0, ttft_count=2, cached_tokens=8
    )
    assert gained(before, after).ttft_mean_s == 1.5
    assert gained(after, after).ttft_mean_s is None  # nothing was counted


@pytest.mark.parametrize("has", [2.0, None])
def test_counters_that_fell_or_vanished_are_an_engine_that_was_started_again(
    has: float | None,
) -> None:
    before = Counters(requests=3, output_tokens=30)
    with pytest.raises(EngineRestarted, match=r"requests from 3 to (2|nothing)\): it was started"):
        gained(before, replace(before, requests=has))


def test_effective_settings_are_read_from_a_real_reply_of_vllm(shared_data: Path) -> None:
    reply = (shared_data / "engine_logs" / "vllm_0.32_server_info_json.json").read_text()
    told = Vllm().effective(json.loads(reply))
    assert told["model_config.dtype"] == "torch.bfloat16"
    assert told["model_config.max_model_len"] == "1024"
    assert told["model_config.enforce_eager"] == "True"
    assert {key.partition(".")[0] for key in told} >= {
        *("model_config", "cache_config", "parallel_config", "scheduler_config"),
    }


def printed_arguments(log: str) -> dict[str, object]:
    """`server_args=ServerArgs(model_path='/m', tp_size=1, ...)` of a log: what /server_info holds,
    as far as the values are plain."""
    line = re.search(r"server_args=ServerArgs\((.*)\)$", log, re.MULTILINE)
    assert line is not None
    return dict(re.findall(r"(?:^|, )(\w+)='?([^',()\[\]]*)'?(?=, |$)", line[1]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "sglang-0.5.17-h100-llama-3.1-8b-bf16",
            {"kv_cache_dtype": "auto", "chunked_prefill_size": "8192", "tp_size": "1"},
        ),
        (
            "sglang-0.5.17-h100-mixtral-8x7b-fp8",
            {"attention_backend": "triton", "disable_radix_cache": "True", "random_seed": "0"},
        ),
    ],
)
def test_effective_settings_of_sglang_are_named_as_a_real_server_prints_them(
    shared_data: Path, name: str, expected: dict[str, str]
) -> None:
    printed = printed_arguments((shared_data / "engine_logs" / f"{name}.log").read_text())
    told = Sglang().effective(printed)
    assert set(told) == set(EFFECTIVE) - {"version"}  # which is the server's, not an argument
    assert expected.items() <= told.items()


def test_a_real_sglang_has_no_cheap_health_page_and_is_then_asked_for_health(
    shared_data: Path,
) -> None:
    log = (shared_data / "engine_logs" / "sglang-0.5.17-h100-mixtral-8x7b-fp8.log").read_text()
    asked = re.findall(r'"GET (\S+) HTTP/1.1" (\d+)', log)
    assert asked[:2] == [("/ready", "404"), ("/health", "200")]
    assert tuple(path for path, _ in asked[:2]) == Sglang().health_paths
    assert asked[-1] == (Sglang().info_path, "200")


@pytest.mark.parametrize("reply", [{}, {"detail": "Not Found"}, {"vllm_config": "a long text"}])
def test_a_version_without_the_page_has_no_effective_settings(reply: dict[str, object]) -> None:
    assert Vllm().effective(reply) == {}
    assert Sglang().effective(reply) == {}
