"""Sweeps and files in a matrix: what they stand for, and how their mistakes are told."""

import hashlib
from pathlib import Path

import pytest

from schema import data_files
from schema.cells import Cell
from schema.data_files import DataFileError, content
from schema.documents import BadDocument
from schema.matrix import load_matrix
from schema.request_files import DataFile

SHAPE = "layers: 2, hidden: 128, intermediate: 256, heads: 4, kv_heads: 2, head_dim: 32"
LENGTHS = "input_tokens: 64, output_tokens: 48"
FROM_FILE = "input_tokens: {longest: 1000}, output_tokens: {longest: 500}"
HEAD = f"""\
models:
  tiny: {{name: tiny, weights: dummy, {SHAPE}, vocabulary: 1024, max_position: 4096}}
workloads:
"""
TAIL = """\
families:
  - engine: vllm
    model: tiny
    precision: bf16
    gpu: h100
    max_model_len: 2048
    workloads: [{}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workloads lie, besides the repository's own."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("TAILWATCH_WORKLOADS", str(tmp_path / "data"))
    return tmp_path / "data"


def load(tmp_path: Path, workloads: str, served: str) -> tuple[Cell, ...]:
    path = tmp_path / "small.yaml"
    path.write_text(HEAD + workloads + TAIL.format(served))
    return load_matrix(path).cells


def complaints(tmp_path: Path, workloads: str, served: str) -> list[str]:
    with pytest.raises(BadDocument) as caught:
        load(tmp_path, workloads, served)
    return [message.removeprefix(f"{tmp_path}/small.yaml:") for message in caught.value.messages]


SWEEP = f"""\
  chat: {{sweep: {{rate: [0.5, 8], requests: [30, 480]}}, arrival: open-loop, {LENGTHS}}}
  batch: {{sweep: {{concurrency: [1, 32]}}, arrival: closed-loop, requests: 64, {LENGTHS}}}
"""
WRITTEN_OUT = f"""\
  chat-0.5rps: {{rate: 0.5, requests: 30, arrival: open-loop, {LENGTHS}}}
  chat-8rps: {{rate: 8, requests: 480, arrival: open-loop, {LENGTHS}}}
  batch-1: {{concurrency: 1, arrival: closed-loop, requests: 64, {LENGTHS}}}
  batch-32: {{concurrency: 32, arrival: closed-loop, requests: 64, {LENGTHS}}}
"""


def test_a_sweep_is_shorthand_for_its_workloads(tmp_path: Path) -> None:
    short = load(tmp_path, SWEEP, "chat, batch")
    assert short == load(tmp_path, WRITTEN_OUT, "chat-0.5rps, chat-8rps, batch-1, batch-32")
    assert len({cell.family for cell in short}) == 1  # one launch serves them all


def test_a_family_may_serve_a_part_of_a_sweep(tmp_path: Path) -> None:
    (cell,) = load(tmp_path, SWEEP, "batch-32")
    assert cell.workload.concurrency == 32


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("{}", "4: workloads.a.sweep: list either rate or concurrency"),
        ("{rate: [1], concurrency: [1]}", "4: workloads.a.sweep: list either rate or concurrency"),
        ("{rate: [1, 2], requests: [3]}", "4: workloads.a.sweep: 1 requests for 2 workloads"),
        ("{rate: [1, 0]}", "4: workloads.a.sweep.rate[1]: Input should be greater than 0, not 0"),
        ("{rates: [1]}", "4: workloads.a.sweep.rates: is not a key here; did you mean rate?"),
    ],
)
def test_a_mistake_in_a_sweep_is_the_only_one_told(tmp_path: Path, sweep: str, told: str) -> None:
    text = f"  a: {{sweep: {sweep}, arrival: open-loop, requests: 4, {LENGTHS}}}\n"
    assert complaints(tmp_path, text, "a") == [told]


def test_a_mistake_in_what_a_sweep_shares_is_told_once_where_it_stands(tmp_path: Path) -> None:
    text = (
        "  a:\n    sweep: {rate: [1, 2]}\n    arrival: offlin\n    requests: 4\n"
        "    input_tokens: 64\n    output_tokens: 48\n"
    )
    (told,) = complaints(tmp_path, text, "a")
    assert told.startswith("6: workloads.a.arrival: Input should be ")


def test_what_a_sweep_gives_is_not_given_again(tmp_path: Path) -> None:
    text = f"  a: {{sweep: {{rate: [1]}}, rate: 2, arrival: open-loop, requests: 4, {LENGTHS}}}\n"
    text += f"  a-1rps: {{arrival: offline, requests: 4, {LENGTHS}}}\n"
    assert complaints(tmp_path, text, "a, a-1rps") == [
        "4: workloads.a.rate: is given by the sweep; leave it out here",
        "4: workloads.a: makes a-1rps, which is there already",
        "12: families[0].workloads[1]: a-1rps is listed twice; keep one",
    ]


def test_places_in_a_family_are_those_of_the_file(tmp_path: Path) -> None:
    assert complaints(tmp_path, SWEEP, "chat, bach, chat-8rps") == [
        "12: families[0].workloads[1]: no such workload; did you mean batch?",
        "12: families[0].workloads[2]: chat-8rps is listed twice; keep one",
    ]


PAIRS = f"  pairs: {{arrival: offline, requests: 1, file: pairs.csv, {FROM_FILE}}}\n"


def test_a_file_is_pinned_by_its_content_when_the_matrix_is_loaded(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "pairs.csv").write_text("input_tokens,output_tokens\n3,4\n")
    (before,) = load(tmp_path, PAIRS, "pairs")
    (folder / "deeper").mkdir()
    (folder / "pairs.csv").rename(folder / "deeper" / "p.csv")
    (moved,) = load(tmp_path, PAIRS.replace("pairs.csv", "deeper/p.csv"), "pairs")
    (folder / "pairs.csv").write_text("input_tokens,output_tokens\n3,5\n")
    (changed,) = load(tmp_path, PAIRS, "pairs")
    assert before.key == moved.key != changed.key


def test_a_file_that_is_pinned_need_not_be_here_to_plan(tmp_path: Path, folder: Path) -> None:
    pin = hashlib.sha256(b"elsewhere").hexdigest()
    pinned = PAIRS.replace("pairs.csv", f"{{path: pairs.csv, sha256: {pin}}}")
    (cell,) = load(tmp_path, pinned, "pairs")
    assert cell.workload.file is not None
    assert cell.workload.file.sha256 == pin


def test_mistakes_about_files_are_told_together(tmp_path: Path, folder: Path) -> None:
    (folder / "other.csv").write_text("x")
    here = hashlib.sha256(b"x").hexdigest()
    text = PAIRS + (
        f"  other: {{arrival: offline, requests: 1, {FROM_FILE}, "
        f"file: {{path: other.csv, sha256: {'0' * 64}}}}}\n"
        f"  chat: {{arrival: offline, requests: 1, {FROM_FILE}, "
        f"file: {{path: other.csv, holds: conversations, longest_total: 2049}}}}\n"
    )
    looked = f"{folder} or {data_files.WORKLOADS}"
    assert complaints(tmp_path, text, "pairs, other, chat") == [
        f"4: workloads.pairs.file.path: no file pairs.csv in {looked}; put it there, or name its "
        "folder by TAILWATCH_WORKLOADS",
        f"5: workloads.other.file.sha256: {folder}/other.csv has {here}; write this, or bring the "
        "file",
        "13: families[0].workloads[2]: chat has conversations: name the `tokenizer` of models.tiny",
    ]


def test_a_file_that_a_sweep_shares_is_missed_once(tmp_path: Path, folder: Path) -> None:
    text = (
        f"  a: {{sweep: {{rate: [1, 2]}}, arrival: open-loop, requests: 1, {FROM_FILE}, file: f}}\n"
    )
    (told,) = complaints(tmp_path, text, "a")
    assert told.startswith("4: workloads.a.file.path: no file f in ")


def test_conversations_are_in_the_tokens_of_each_model(tmp_path: Path, folder: Path) -> None:
    for name in ("chat.json", "one.json", "two.json"):
        (folder / name).write_text(name)
    path = tmp_path / "small.yaml"
    models = "".join(
        f"  {name}: {{name: {name}, weights: dummy, tokenizer: {name}.json, {SHAPE}, "
        "vocabulary: 1024, max_position: 4096}\n"
        for name in ("one", "two")
    )
    chat = (
        f"  chat: {{arrival: offline, requests: 1, {FROM_FILE}, "
        "file: {path: chat.json, holds: conversations}}\n"
    )
    plain = f"  plain: {{arrival: offline, requests: 1, {LENGTHS}}}\n"
    families = TAIL.format("chat, plain").replace("model: tiny", "model: one")
    more = families.removeprefix("families:\n").replace("model: one", "model: two")
    path.write_text("models:\n" + models + "workloads:\n" + chat + plain + families + more)
    cells = load_matrix(path).cells
    files = [cell.workload.file for cell in cells]
    assert [file and file.tokenizer and file.tokenizer.path for file in files] == [
        *("one.json", None, "two.json", None),
    ]  # fmt: skip
    path.write_text(path.read_text().replace(", tokenizer: one.json", "").replace("[chat, ", "["))
    assert load_matrix(path).cells[0].key == cells[1].key  # naming a tokenizer is no other cell


def test_a_changed_file_is_told_with_both_contents(folder: Path) -> None:
    (folder / "a.csv").write_text("x")
    file = DataFile(path="a.csv", sha256="0" * 64)
    with pytest.raises(DataFileError) as caught:
        content(file)
    told = str(caught.value)
    assert told.startswith(f"{folder}/a.csv is not the file that was planned with: its SHA-256 is")
    assert hashlib.sha256(b"x").hexdigest() in told
    assert "0" * 64 in told


def test_the_named_folder_comes_before_the_repositorys_own(folder: Path) -> None:
    own = data_files.locate("example/lengths.csv")
    assert own == data_files.WORKLOADS / "example/lengths.csv"
    (folder / "example").mkdir()
    (folder / "example/lengths.csv").write_text("mine")
    assert data_files.locate("example/lengths.csv") == folder / "example/lengths.csv"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, folder: Path) -> None:
    (folder / "pairs.csv").symlink_to("/proc/self/mem")  # a file, and nobody may read its start
    (told,) = complaints(tmp_path, PAIRS, "pairs")
    assert told.startswith(f"4: workloads.pairs.file.path: {folder}/pairs.csv cannot be read: ")
    with pytest.raises(DataFileError, match=r"pairs\.csv cannot be read: "):
        content(DataFile(path="pairs.csv", sha256="0" * 64))
