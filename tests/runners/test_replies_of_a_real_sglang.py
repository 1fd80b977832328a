"""Pages of a real SGLang 0.5.17, recorded while it served Mixtral-8x7B bf16 over two H200s."""

import json
from pathlib import Path

import pytest

from runners.engines.adapter import Told
from runners.engines.sglang import EFFECTIVE, Sglang
from runners.prometheus import parse
from schema.cells import Gpu

REPLIES = Path(__file__).parent / "replies"
PAGE = (REPLIES / "sglang-0.5.17-tp2.metrics.txt").read_text()
INFO = json.loads((REPLIES / "sglang-0.5.17-tp2.server_info.json").read_text())
GIB = 2**30
BYTES_A_TOKEN = 2 * 32 * 4 * 128 * 2
"""Keys and values of 32 layers, 4 of the 8 heads on each card, 128 wide, 2 B each."""


def told(page: str, info: dict[str, object]) -> Told:
    return Told(version="0.5.17", gpu=Gpu.H200, log="", samples=parse(page), info=info)


def test_requests_and_tokens_are_counted_once_for_both_cards() -> None:
    """Of 256 in and 128 out each, but one: the probe, 3 in and 1 out."""
    counters = Sglang().counters(parse(PAGE))
    assert counters.requests == 201
    assert counters.prompt_tokens == 200 * 256 + 3
    assert counters.output_tokens == 200 * 128 + 1


def test_what_every_card_counts_for_itself_is_taken_from_the_first() -> None:
    """233 requests had begun when the page was read; both ranks tell each of them."""
    counters = Sglang().counters(parse(PAGE))
    assert counters.ttft_count == counters.queue_count == 233
    retracted = [
        f'sglang:num_retracted_requests_total{{model_name="m",tp_rank="{rank}"}} 3.0'
        for rank in range(2)
    ]
    assert Sglang().counters(parse("\n".join(retracted))).preemptions == 3


def test_memory_is_that_of_one_card() -> None:
    found = Sglang().memory(told(PAGE, {}))
    assert found.untold == {}
    assert found.known == {
        "weight_memory": 43.505859375 * GIB,
        "kv_cache_memory": 78.09051513671875 * GIB,
        "kv_cache_capacity": 1_279_434,
        "graph_memory": (1.8828125 + 0.193359375) * GIB,
    }
    tokens = found.known["kv_cache_memory"] / BYTES_A_TOKEN
    assert tokens == pytest.approx(found.known["kv_cache_capacity"], rel=1e-5)


def test_without_gauges_the_info_page_tells_the_same_memory() -> None:
    gauges = Sglang().memory(told(PAGE, {})).known
    assert dict(Sglang().memory(told("", INFO)).known) == pytest.approx(dict(gauges), rel=1e-3)


def test_its_effective_settings_are_those_it_was_started_with() -> None:
    effective = Sglang().effective(INFO)
    assert set(effective) == set(EFFECTIVE)
    asked = {
        "version": "0.5.17",
        "tp_size": "2",
        "ep_size": "1",
        "disable_radix_cache": "True",
        "attention_backend": "triton",
        "random_seed": "0",
        "context_length": "4096",
    }
    assert asked.items() <= effective.items()
