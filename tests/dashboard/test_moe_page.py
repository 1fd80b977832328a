"""The page of sparse models beside dense ones: over real Hopper nights, and in words."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.levels import Level, Ratio, levels_of
from dashboard.moe import bend_words, pairs, ratio
from dashboard.moe_tables import contrast
from dashboard.parallel import Contrast, contrasts
from dashboard.units import times
from schema.cells import Cell, Gpu
from schema.nights import Night
from schema.session import reading, writing
from schema.store.cells import cells
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.values import values_of_latest
from schema.trials import Launch, Trial

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
    assert "TP 2 EP 2 against TP 2: Mixtral-8x7B-Instruct-v0.1 bf16" in text


def test_the_address_chooses_engine_and_load(hopper_url: str, open_page: Open) -> None:
    page = open_page(hopper_url, "moe", place="h200-sglang", load="batch-32")
    boxes = {box.key: box.value for box in page.selectbox}
    assert (boxes["choice-place"], boxes["choice-load"]) == ("h200-sglang", "batch-32")
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


def test_a_split_is_set_against_fewer_cards_and_experts_against_slices(
    make_cell: Callable[..., Cell],
) -> None:
    two, both, one = _split(make_cell, 2), _split(make_cell, 2, 2), _split(make_cell, 1)
    found = contrasts([both, two, one])
    assert [own.words for own in found] == [("TP 1", "TP 2"), ("TP 2", "TP 2 EP 2")]
    (gained,), (moved,) = (own.ratios for own in found)
    assert (gained.under, gained.over, gained.value) == (one, two, 2)
    assert (moved.under, moved.over, moved.value) == (two, both, 1)


def test_splits_of_two_builds_or_of_no_common_load_are_not_set_against_each_other(
    make_cell: Callable[..., Cell],
) -> None:
    one, two = _split(make_cell, 1), _split(make_cell, 2)
    assert contrasts([one, replace(two, build="sglang 0.5.17")]) == []
    other = two.cell.workload.model_copy(update={"name": "other", "concurrency": 64})
    moved = two.cell.model_copy(update={"workload": other})
    assert contrasts([one, replace(two, cell=moved)]) == []


def _levels(make_cell: Callable[..., Cell], launches: int) -> Ratio:
    over, under = _split(make_cell, 2), _split(make_cell, 1)
    metric = "output_throughput"
    return Ratio(
        metric=metric,
        over=replace(over, values={metric: [200.0 + own for own in range(launches)]}),
        under=replace(under, values={metric: [100.0 + own for own in range(launches)]}),
    )


def test_a_ratio_has_the_spread_of_both_sides_and_a_p_of_enough_launches(
    make_cell: Callable[..., Cell],
) -> None:
    two, three, five = (_levels(make_cell, launches) for launches in (2, 3, 5))
    assert (two.cv, two.p, three.p) == (None, None, None)
    assert three.cv == pytest.approx(math.hypot(1 / 201, 1 / 101))
    assert five.value == 202 / 102
    assert five.p == pytest.approx(2 / math.comb(10, 5))  # all of one side above the other


def test_the_table_of_a_split_shows_both_sides_with_their_spread(
    make_cell: Callable[..., Cell],
) -> None:
    made = _levels(make_cell, 5)
    shown = re.sub(r"<[^>]+>", " ", contrast(Contrast(over=[made.over], under=[made.under])))
    for text in ("TP 2 / TP 1", "102.0 tok/s", "±1.6 %", "202.0 tok/s", times(1.98), "0.0079"):
        assert text in shown


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


def test_the_page_shows_what_a_second_card_gains_also_without_a_pair(
    database_url: str,
    open_page: Open,
    make_night: Callable[..., Night],
    make_launch: Callable[..., Launch],
    make_trial: Callable[..., Trial],
) -> None:
    with writing(database_url) as session:
        record_night(session, make_night())
        for tensor in (1, 2):
            trial = make_trial()
            family = trial.cell.family.model_copy(update={"tensor_parallel": tensor})
            cell = trial.cell.model_copy(update={"family": family})
            own = trial.model_copy(
                update={"cell": cell, "measurements": {"itl_p50": 0.02 / tensor}}
            )
            record(session, make_launch(trials=(own,)))
    text = seen(open_page(database_url, "moe"))
    assert "No sparse model was measured beside a dense one" in text
    assert "TP 2 against TP 1" in text
    assert all(shown in text for shown in ("20.00 ms", "10.00 ms", times(0.5)))


def test_one_way_to_split_is_nothing_to_compare(make_cell: Callable[..., Cell]) -> None:
    assert contrasts([_split(make_cell, 2)]) == []
