"""What a workload may be, and what makes it another one."""

from typing import Any

import pytest
from pydantic import ValidationError

from schema.cells import Cell, Workload
from schema.data_files import data_files
from schema.lengths import Lengths, Uniform
from schema.matrix import load_matrix

CLOSED = {"arrival": "closed-loop", "concurrency": 2}
OPEN = {"arrival": "open-loop", "rate": 2.0}
RECORDED = {"arrival": "open-loop", "pattern": "recorded"}
FILE = {"path": "a.csv", "sha256": "0" * 64}
TOKENIZER = {"path": "t.json", "sha256": "1" * 64}
FROM_FILE = {"input_tokens": {"longest": 64}, "output_tokens": {"longest": 32}}


def workload(**asked: Any) -> Workload:
    usual = {"name": "any", "requests": 4, "input_tokens": 64, "output_tokens": 32}
    return Workload.model_validate(usual | asked)


@pytest.mark.parametrize(
    "asked",
    [
        CLOSED,
        {"arrival": "offline"},
        OPEN,
        {**OPEN, "pattern": "gamma", "burstiness": 0.5},
        {**OPEN, "pattern": "gamma", "burstiness": 2, "ramp": {"to": 3, "shape": "exponential"}},
        {**OPEN, "pattern": "constant", "ramp": {"to": 1}},
        {**RECORDED, **FROM_FILE, "file": FILE, "speed_up": 2},
        {**OPEN, **FROM_FILE, "file": FILE},
        {**CLOSED, **FROM_FILE, "file": {**FILE, "holds": "conversations"}},
    ],
)
def test_a_workload_survives_its_document(asked: dict[str, Any]) -> None:
    written = workload(**asked)
    assert Workload.model_validate_json(written.model_dump_json()) == written


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"arrival": "offline", "rate": 2}, "rate belongs to open-loop arrivals"),
        ({"arrival": "open-loop"}, "rate belongs to open-loop arrivals"),
        ({"arrival": "closed-loop"}, "concurrency belongs to closed-loop arrivals"),
        ({**CLOSED, "pattern": "constant"}, "a pattern belongs to open-loop arrivals"),
        ({**OPEN, "burstiness": 2}, "burstiness belongs to pattern gamma"),
        ({**OPEN, "pattern": "gamma"}, "burstiness belongs to pattern gamma"),
        ({**CLOSED, "ramp": {"to": 2}}, "ramp belongs to open-loop arrivals with a rate"),
        ({**OPEN, "ramp": {"to": 2}}, "leads to another rate"),
        ({**OPEN, "speed_up": 2}, "speed_up belongs to pattern recorded"),
        ({**RECORDED, **FROM_FILE}, "pattern recorded needs a file that has times"),
        (
            {**RECORDED, **FROM_FILE, "file": {**FILE, "holds": "conversations"}},
            "pattern recorded needs a file that has times",
        ),
        ({**RECORDED, **FROM_FILE, "file": FILE, "rate": 1}, "write speed_up"),
        ({**CLOSED, "file": FILE}, "{longest: ...}, and only then"),
        ({**CLOSED, **FROM_FILE}, "{longest: ...}, and only then"),
        ({**CLOSED, "input_tokens": {"shortest": 9, "longest": 8}}, "shortest 9 exceeds longest 8"),
        ({**CLOSED, "input_tokens": {"mean": 9, "longest": 8}}, "mean 9.0 exceeds longest 8"),
        ({**CLOSED, "input_tokens": 0}, "greater than 0"),
        ({**CLOSED, "input_tokens": True}, "valid dictionary"),
        ({**OPEN, **FROM_FILE, "file": {**FILE, "path": "../a"}}, "no leading / and no .."),
        ({**OPEN, **FROM_FILE, "file": {**FILE, "path": "/a"}}, "no leading / and no .."),
    ],
)
def test_what_does_not_belong_together_is_refused(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        workload(**asked)
    assert told in str(caught.value)


def test_all_that_does_not_belong_together_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        workload(arrival="offline", rate=1, burstiness=2, speed_up=3)
    for told in ("rate belongs", "burstiness belongs", "speed_up belongs"):
        assert told in str(caught.value)


def test_a_bare_number_is_the_length_of_all() -> None:
    assert workload(**CLOSED).input_tokens == Lengths(mean=64, longest=64)
    assert Uniform(shortest=2, longest=5).mean == 3.5


def test_conversations_have_the_limits_of_vllms_benchmark_unless_told() -> None:
    chat = {**FILE, "holds": "conversations"}
    usual, own = (
        workload(**CLOSED, **FROM_FILE, file=file).file for file in (chat, {**chat, "shortest": 9})
    )
    assert usual is not None
    assert own is not None
    assert (usual.shortest, usual.longest_total) == (4, 2048)
    assert (own.shortest, own.longest_total) == (9, 2048)
    pairs = {(3, 9): False, (9, 3): False, (4, 4): True, (1024, 1024): True, (1024, 1025): False}
    assert {pair: usual.keeps(*pair) for pair in pairs} == pairs


def test_the_longest_request_is_what_its_limits_leave() -> None:
    assert workload(**CLOSED).longest_total == 96
    assert workload(**CLOSED, **FROM_FILE, file=FILE).longest_total == 96
    assert workload(**CLOSED, **FROM_FILE, file={**FILE, "longest_total": 50}).longest_total == 50
    assert workload(**CLOSED, **FROM_FILE, file={**FILE, "longest_total": 500}).longest_total == 96


def chat(file: dict[str, Any], tokenizer: dict[str, Any]) -> Cell:
    asked = {**file, "holds": "conversations", "tokenizer": tokenizer}
    family = load_matrix("demo").cells[0].family
    return Cell(family=family, workload=workload(**CLOSED, **FROM_FILE, file=asked))


def test_a_cell_knows_its_files_by_their_content_and_not_by_their_place() -> None:
    cell = chat(FILE, TOKENIZER)
    moved = chat({**FILE, "path": "b/c.json"}, {**TOKENIZER, "path": "d.model"})
    other = chat({**FILE, "sha256": "2" * 64}, TOKENIZER)
    other_words = chat(FILE, {**TOKENIZER, "sha256": "2" * 64})
    assert cell.key == moved.key
    assert len({cell.key, other.key, other_words.key}) == 3


def test_what_a_host_needs_is_every_file_of_its_cells_once() -> None:
    cells = [chat(FILE, TOKENIZER), chat({**FILE, "path": "b.csv"}, TOKENIZER)]
    assert [file.path for file in data_files(cells)] == ["a.csv", "b.csv", "t.json"]
    assert data_files(load_matrix("nightly").cells) == ()


@pytest.mark.parametrize(
    ("name", "digest"), [("nightly", "110f7990cb41d58e"), ("demo", "37ef26ef5bfa989b")]
)
def test_cells_that_were_stored_keep_their_keys(name: str, digest: str) -> None:
    """The digest is over the keys of all cells: neither later fields nor sweeps may change it.

    Change it only together with what the matrix measures.
    """
    assert load_matrix(name).digest == digest
