"""The matrix: what it covers, and how its mistakes are told."""

from pathlib import Path

import pytest

from schema.arrivals import Arrival
from schema.cells import Engine, Gpu, Precision
from schema.documents import BadDocument
from schema.matrix import Matrix, UnknownCells, UnknownMatrix, load_matrix, matrix_names
from schema.memory import fit

SHAPE = "layers: 2, hidden: 128, intermediate: 256, heads: 4, kv_heads: 2, head_dim: 32"
LENGTHS = "input_tokens: {mean: 64, longest: 64}, output_tokens: {mean: 48, longest: 48}"
SMALL = f"""\
launches: 2
models:
  tiny: {{name: tiny, weights: dummy, {SHAPE}, vocabulary: 1024, max_position: 4096}}
workloads:
  closed-4: {{arrival: closed-loop, concurrency: 4, requests: 24, {LENGTHS}}}
  offline: {{arrival: offline, requests: 24, {LENGTHS}}}
families:
  - engine: vllm
    model: tiny
    precision: bf16
    gpu: h100
    max_model_len: 2048
    workloads: [closed-4, offline]
"""


def load(tmp_path: Path, text: str, name: str = "small") -> Matrix:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    return load_matrix(path)


def complaints(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(BadDocument) as caught:
        load(tmp_path, text)
    return [message.removeprefix(f"{tmp_path}/small.yaml:") for message in caught.value.messages]


def test_a_family_stands_for_the_product_of_what_it_lists(tmp_path: Path) -> None:
    text = SMALL.replace("engine: vllm", "engine: [vllm, sglang]").replace("h100", "[h100, h200]")
    matrix = load(tmp_path, text)
    assert [cell.slug for cell in matrix.cells] == [
        f"{engine}/tiny/bf16/{gpu}/tp1/{workload}"
        for engine in ("vllm", "sglang")
        for gpu in ("h100", "h200")
        for workload in ("closed-4", "offline")
    ]


def test_a_launch_serves_all_workloads_of_a_family(tmp_path: Path) -> None:
    matrix = load(tmp_path, SMALL)
    (family,) = matrix.families()
    assert matrix.families()[family] == matrix.cells
    assert matrix.families(matrix.cells[:1])[family] == matrix.cells[:1]


def test_flags_are_sorted_and_true_means_without_a_value(tmp_path: Path) -> None:
    matrix = load(
        tmp_path,
        SMALL + "    settings: {max-num-seqs: 64, enforce-eager: true, block-size: null}\n",
    )
    assert matrix.cells[0].family.settings == (
        ("block-size", None),
        ("enforce-eager", None),
        ("max-num-seqs", "64"),
    )


def test_the_matrix_is_called_like_its_file(tmp_path: Path) -> None:
    assert load(tmp_path, SMALL, name="other").name == "other"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("launches: 2\n", "# why two\nlaunches: 2  # launches\n"),  # comments
        ("tiny", "small"),  # the key of a model; its name is put back below
        ("[closed-4, offline]", "[offline, closed-4]"),  # order
        ("    gpu: h100\n    max_model_len: 2048\n", "    max_model_len: 2048\n    gpu: h100\n"),
        ("bf16\n", "[bf16]\n"),  # a list of one
    ],
)
def test_the_digest_ignores_how_it_is_written(tmp_path: Path, old: str, new: str) -> None:
    text = SMALL.replace(old, new).replace("name: small", "name: tiny")
    assert text != SMALL
    assert load(tmp_path, text).digest == load(tmp_path, SMALL).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("launches: 2", "launches: 3"),
        ("concurrency: 4", "concurrency: 5"),
        ("layers: 2", "layers: 3"),
        ("[closed-4, offline]", "[closed-4]"),
        ("gpu: h100", "gpu: h200"),
    ],
)
def test_the_digest_changes_with_what_is_measured(tmp_path: Path, old: str, new: str) -> None:
    assert load(tmp_path, SMALL.replace(old, new)).digest != load(tmp_path, SMALL).digest


def test_cells_are_selected_by_slug_in_the_order_of_the_matrix(tmp_path: Path) -> None:
    matrix = load(tmp_path, SMALL)
    first, second = matrix.cells
    assert matrix.select([second.slug]) == (second,)
    assert matrix.select([second.slug, first.slug]) == (first, second)
    assert matrix.select([]) == matrix.cells


def test_unknown_slugs_are_all_told_with_near_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownCells) as caught:
        load(tmp_path, SMALL).select(["vllm/tiny/bf16/h100/tp1/ofline", "x", "y"])
    near, *others = str(caught.value).splitlines()
    assert "no cell vllm/tiny/bf16/h100/tp1/ofline; did you mean" in near
    assert "vllm/tiny/bf16/h100/tp1/offline" in near
    assert others == ["matrix small has no cell x", "matrix small has no cell y"]


def test_every_mistake_is_told_at_once_with_line_and_key(tmp_path: Path) -> None:
    """Broken keys, unknown references and impossible cells, in three entries of one file."""
    text = SMALL.replace("launches: 2", "launches: 0") + (
        "  - engine: vlm\n    model: tiny\n    precision: bf16\n    gpu: h100\n"
        "    max_model_len: 2048\n    workloads: [offline]\n"
        "  - engine: vllm\n    model: tinny\n    precision: bf16\n    gpu: h100\n"
        "    max_model_len: 2048\n    workloads: [offlin, offline, offline]\n"
        "  - engine: vllm\n    model: tiny\n    precision: bf16\n    gpu: cpu\n"
        "    tensor_parallel: 3\n    expert_parallel: 2\n    max_model_len: 8192\n"
        "    workloads: [offline]\n"
    )
    assert complaints(tmp_path, text) == [
        "1: launches: Input should be greater than 0, not 0",
        "14: families[1].engine[0]: Input should be 'vllm' or 'sglang', not 'vlm'"
        "; did you mean vllm?",
        "21: families[2].model: no such model; did you mean tiny?",
        "25: families[2].workloads[0]: no such workload; did you mean offline?",
        "25: families[2].workloads[2]: offline is listed twice; keep one",
        "30: families[3].tensor_parallel: 3 does not divide 4 heads",
        "31: families[3].expert_parallel: tiny is dense: it has no experts",
        "31: families[3].expert_parallel: 2 must be 1 or tensor_parallel (3)",
        "32: families[3].max_model_len: 8192 exceeds max_position 4096 of tiny",
    ]


def test_mistakes_in_a_model_do_not_hide_those_in_families(tmp_path: Path) -> None:
    text = SMALL.replace("layers: 2", "layers: two").replace("[closed-4", "[closed-5")
    first, second = complaints(tmp_path, text)
    assert first.startswith("3: models.tiny.layers: ")
    assert second == "13: families[0].workloads[0]: no such workload; did you mean closed-4?"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("gpu: h100", "gpus: h100", "11: families[0].gpus: is not a key here; did you mean gpu?"),
        ("engine: vllm", "engine: [vllm, vllm]", "8: families[0].engine: lists a value twice"),
        ("max_model_len: 2048", "max_model_len: 100", "prompt 64 + answer 48 = 112 tokens"),
        ("concurrency: 4, ", "", "5: workloads.closed-4: concurrency belongs to closed-loop"),
        ("arrival: offline", "name: x, arrival: offline", "6: workloads.offline.name: "),
        ("models:", "modles:", "2: modles: is not a key here; did you mean models?"),
        ("bf16", "bf16\n    settings: {enforce-eager: false}", "leave a flag out"),
        ("bf16", "bf16\n    kv_cache_bytes: 1024", "tokens need kv_cache_bytes of"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    found = complaints(tmp_path, SMALL.replace(old, new, 1))
    assert any(told in message for message in found), found


def test_a_family_that_returns_its_experts_is_sparse_and_has_no_rate(tmp_path: Path) -> None:
    flag = "bf16\n    settings: {enable-return-routed-experts: true}"
    text = SMALL.replace("bf16", flag, 1)
    rated = text.replace("arrival: offline", "arrival: open-loop, rate: 1")
    dense, told = complaints(tmp_path, rated)
    assert dense.endswith("enable-return-routed-experts: tiny is dense: it has no experts")
    assert told == (
        "11: families[0].settings: enable-return-routed-experts times nothing, so offline cannot "
        "have a rate: name closed-loop or offline workloads"
    )
    sparse = text.replace("max_position: 4096", "max_position: 4096, experts: 8")
    (cell, _) = load(tmp_path, sparse).cells
    assert cell.family.returns_experts


def test_experts_must_divide_over_the_cards(tmp_path: Path) -> None:
    text = SMALL.replace("max_position: 4096", "max_position: 4096, experts: 7").replace(
        "gpu: h100", "gpu: h100\n    tensor_parallel: 2\n    expert_parallel: 2"
    )
    assert complaints(tmp_path, text) == [
        "13: families[0].expert_parallel: 2 does not divide 7 experts"
    ]


def test_a_family_that_does_not_fit_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    text = SMALL.replace("layers: 2", "layers: 32").replace("hidden: 128", "hidden: 40960")
    (told,) = complaints(tmp_path, text.replace("intermediate: 256", "intermediate: 14336"))
    assert told.startswith("8: families[0]: tiny bf16 on 1 x h100: weights ")
    assert "71.7 GiB available (0.90 of 79.6 GiB): needs tensor_parallel 2 or fp8" in told


def test_a_cell_comes_from_one_entry_only(tmp_path: Path) -> None:
    entry = SMALL[SMALL.index("  - engine") :]
    (told,) = complaints(tmp_path, SMALL + entry)
    assert told.endswith("vllm/tiny/bf16/h100/tp1 is already families[0]; merge the two")


def test_an_unknown_matrix_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownMatrix, match=r"no matrix nightlyy; did you mean nightly\?"):
        load_matrix("nightlyy")


def test_the_demo_runs_two_tiny_models_without_a_gpu() -> None:
    matrix = load_matrix("demo")
    assert len(matrix.cells) == 4
    assert {family.gpu for family in matrix.families()} == {Gpu.CPU}
    assert {family.model.name for family in matrix.families()} == {"tiny-mixtral", "tiny-llama"}


def test_the_nightly_matrix_covers_the_mission() -> None:
    cells = load_matrix("nightly").cells
    covered = {
        (cell.family.engine, cell.family.model.short_name, cell.family.precision, cell.family.gpu)
        for cell in cells
    }
    models = {
        "Mixtral-8x7B-Instruct-v0.1",
        "Meta-Llama-3.1-8B-Instruct",
        "Llama-3.1-70B-Instruct",
    }
    assert covered == {
        (engine, model, precision, gpu)
        for engine in Engine
        for model in models
        for precision in (Precision.BF16, Precision.FP8)
        for gpu in (Gpu.H100, Gpu.H200)
    }
    loads = {(c.workload.arrival, c.workload.rate or c.workload.concurrency) for c in cells}
    assert loads == {
        *((Arrival.OPEN_LOOP, rate) for rate in (1, 2, 4, 8)),
        *((Arrival.CLOSED_LOOP, batch) for batch in (1, 8, 32)),
        (Arrival.OFFLINE, None),
    }
    assert len(cells) >= 160


@pytest.mark.parametrize("name", matrix_names())
def test_the_matrices_of_the_repository_fit_and_have_unique_slugs(name: str) -> None:
    matrix = load_matrix(name)
    assert len({cell.slug for cell in matrix.cells}) == len(matrix.cells)
    for family, cells in matrix.families().items():
        assert fit(family, [cell.workload for cell in cells]).fits


def test_a_matrix_pins_control_builds(tmp_path: Path) -> None:
    plain = load(tmp_path, SMALL)
    pinned = load(tmp_path, f"control: vllm==0.30.0\n{SMALL}")
    assert plain.control == ()
    assert [str(build) for build in pinned.control] == ["vllm==0.30.0"]
    assert pinned.digest != plain.digest


@pytest.mark.parametrize(
    ("control", "why"),
    [
        ("vllm-0.30", "'vllm-0.30' is not ENGINE==VERSION with engine vllm or sglang"),
        ("[vllm==0.30.0, vllm==0.31.0]", "one build an engine: vllm==0.30.0, vllm==0.31.0"),
    ],
)
def test_a_control_build_that_cannot_be_is_refused(tmp_path: Path, control: str, why: str) -> None:
    [told] = complaints(tmp_path, f"control: {control}\n{SMALL}")
    assert told.startswith("1: control")
    assert why in told
