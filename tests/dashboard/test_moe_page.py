"""The page of sparse models beside dense ones: over real Hopper nights, and in words."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.levels import Level, levels_of
from dashboard.moe import bend_words, pairs, ratio
from dashboard.parallel import beside, split_words, splits
from schema.cells import Cell, Gpu
from schema.session import reading
from schema.store.cells import cells
from schema.store.values import values_of_latest

Open = Callable[..., AppTest]


def seen(page: AppTest) -> str:
    assert not page.exception, page.exception
    parts = [own.body for own in page.html]
    parts += [own.value for own in (*page.markdown, *page.caption, *page.info, *page.subheader)]
    return re.sub(r"<[^>]+>", " ", " ".join(parts))


@pytest.fixture(scope="module")
def levels(hopper_url: str) -> list[Level]:
    with reading(hopper_url) as session:
        known = {own.key: own for own in cells(session)}
        return levels_of(values_of_latest(session, list(known), 30), known)


def test_without_a_sparse_model_the_page_says_what_it_needs(
    database_url: str, open_page: Open
) -> None:
    assert "No sparse model was measured beside a dense one" in seen(open_page(database_url, "moe"))


def test_the_page_tells_the_ratio_the_bend_and_that_weights_are_dummy(
    hopper_url: str, levels: list[Level], open_page: Open
) -> None:
    text = seen(open_page(hopper_url, "moe", place="h200-vllm"))
    here = [own for own in levels if own.cell.family.gpu is Gpu.H200]
    pair = next(own for own in pairs(here) if own.build == "vllm 0.25.1")
    most = [own for own in pair.loads if own[0].cell.workload.concurrency][-1]
    found = ratio(*most, "output_throughput")
    assert f", {found:.2f} times at batch 128" in text
    assert "A doubling of the batch gains least from batch 1 to 8" in text
    assert "Weights are dummy, of the true shape" in text
    assert "Over more cards" not in text


def test_the_address_chooses_engine_and_load(hopper_url: str, open_page: Open) -> None:
    page = open_page(hopper_url, "moe", place="h200-sglang", load="batch-32")
    assert (page.selectbox[0].value, page.selectbox[-1].value) == ("h200-sglang", "batch-32")
    assert "by sglang 0.5.17" in seen(page)


def test_a_pair_shares_build_gpu_and_load(levels: list[Level]) -> None:
    found = pairs(levels)
    assert found
    for pair in found:
        assert {own.build for own in (*pair.sparse, *pair.dense)} == {pair.build}
        for sparse, dense in pair.loads:
            assert sparse.cell.family.model.is_moe
            assert not dense.cell.family.model.is_moe
            assert sparse.cell.workload == dense.cell.workload
            assert sparse.cell.family.gpu == dense.cell.family.gpu


def test_the_same_precision_is_preferred_where_there_is_one(levels: list[Level]) -> None:
    by_precision = {
        (pair.build, pair.sparse[0].cell.family.precision): pair.dense[0].cell.family.precision
        for pair in pairs(levels)
    }
    assert by_precision["vllm 0.25.1", "bf16"] == "bf16"
    assert by_precision["vllm 0.25.1", "fp8"] == "bf16"


def test_a_variant_is_no_ones_pair(levels: list[Level]) -> None:
    assert any("+eager" in own.build for own in levels)
    assert not any("+eager" in pair.build for pair in pairs(levels))


def test_a_level_counts_each_launch_once(levels: list[Level]) -> None:
    for own in levels:
        assert own.launches == max(len(values) for values in own.values.values())


def test_a_curve_of_two_batches_has_no_bend_in_words() -> None:
    assert bend_words(None) == "not told by fewer than three batches"


def _split(make_cell: Callable[..., Cell], tensor: int, expert: int = 1) -> Level:
    cell = make_cell()
    parallel = {"tensor_parallel": tensor, "expert_parallel": expert}
    family = cell.family.model_copy(update=parallel)
    return Level(
        cell=cell.model_copy(update={"family": family}),
        build="vllm 0.25.1",
        values={"output_throughput": [100.0 * tensor]},
        trials=(f"t{tensor}{expert}",),
        nights=("2026-11-22",),
    )


def test_ways_to_split_a_model_over_cards_stand_side_by_side(
    make_cell: Callable[..., Cell],
) -> None:
    two, both, one = _split(make_cell, 2), _split(make_cell, 2, 2), _split(make_cell, 1)
    group = splits([both, two, one])[0]
    assert [split_words(own) for own in group] == ["TP 1", "TP 2", "TP 2 EP 2"]
    assert beside(group) == [[one, two, both]]
    assert ratio(two, one, "output_throughput") == 2


def test_pairs_that_differ_in_how_experts_are_split_have_names_of_their_own(
    make_cell: Callable[..., Cell],
) -> None:
    dense = _split(make_cell, 2)
    model = dense.cell.family.model.model_copy(update={"experts": 1, "active_experts": 1})
    family = dense.cell.family.model_copy(update={"model": model})
    dense = replace(dense, cell=dense.cell.model_copy(update={"family": family}))
    found = pairs([_split(make_cell, 2), _split(make_cell, 2, 2), _split(make_cell, 1), dense])
    assert [pair.name.partition(" beside ")[0] for pair in found] == [
        "h100 x 2, vllm 0.25.1: tiny-mixtral bf16",
        "h100 x 2, vllm 0.25.1: tiny-mixtral bf16 EP 2",
    ]


def test_one_way_to_split_is_nothing_to_compare(make_cell: Callable[..., Cell]) -> None:
    assert splits([_split(make_cell, 2)]) == []
