"""Requests from files: traces, lengths and conversations."""

import contextlib
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from runners.errors import BadRequestFile
from runners.recorded import conversations, lengths, tokenizer
from runners.recorded.mistakes import MOST_TOLD
from runners.recorded.shape import Shape
from runners.workload import draw, warm_up
from schema.cells import Workload
from schema.data_files import WORKLOADS

AZURE = b"""TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,110,27
"""
MOONCAKE = b"""{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46, 2366]}
"""
GENERIC = b"input_tokens,output_tokens,at_s\n12, 7,0.5\n13,8,2\n"


@pytest.mark.parametrize(
    ("content", "shapes", "apart_s"),
    [
        (AZURE, [(4808, 10), (110, 27)], 0.052),
        (AZURE.replace(b"9799600", b"979960+00:00").replace(b"0319600", b"031960+00:00"),
         [(4808, 10), (110, 27)], 0.052),  # as the traces of 2024 have it
        (MOONCAKE, [(6955, 52), (6472, 26)], 3.053),
        (GENERIC, [(12, 7), (13, 8)], 1.5),
        (b"\xef\xbb\xbf" + GENERIC.replace(b"\n", b"\r\n"), [(12, 7), (13, 8)], 1.5),
        (b'{"at_s": 1, "input_tokens": 12, "output_tokens": 7}\n\n'
         b'{"at_s": 2.5, "input_tokens": 13, "output_tokens": 8}', [(12, 7), (13, 8)], 1.5),
    ],
)  # fmt: skip
def test_every_dialect_is_recognised(
    content: bytes, shapes: list[tuple[int, int]], apart_s: float
) -> None:
    one, two = found = lengths.read(content, "f")
    assert [(shape.input_tokens, shape.output_tokens) for shape in found] == shapes
    assert one.at_s is not None
    assert two.at_s is not None
    assert two.at_s - one.at_s == pytest.approx(apart_s, abs=1e-6)


def test_times_may_be_left_out() -> None:
    assert lengths.read(b"output_tokens,input_tokens\n1,2\n", "f") == (
        Shape(input_tokens=2, output_tokens=1),
    )


def refused(content: bytes) -> list[str]:
    with pytest.raises(BadRequestFile) as caught:
        lengths.read(content, "f.csv")
    return str(caught.value).splitlines()


def test_every_mistake_in_a_file_is_told_with_line_and_key() -> None:
    rows = b"ten,1,0\n5,-1,0\n5,1.5,0\n5,1,soon\n5,1,0\n5\n5,nan,inf\n"
    assert refused(b"input_tokens,output_tokens,at_s\n" + rows) == [
        "f.csv:2: input_tokens: should be a number of tokens, not 'ten'",
        "f.csv:3: output_tokens: should be a number of tokens, not '-1'",
        "f.csv:4: output_tokens: should be a number of tokens, not '1.5'",
        "f.csv:5: at_s: should be a number of seconds, not 'soon'",
        "f.csv:7: at_s: should be a number of seconds, not None",
        "f.csv:7: output_tokens: should be a number of tokens, not None",
        "f.csv:8: at_s: should be a number of seconds, not 'inf'",
        "f.csv:8: output_tokens: should be a number of tokens, not 'nan'",
    ]


def test_broken_json_lines_are_told_with_the_rest() -> None:
    good = b'{"input_tokens": 1, "output_tokens": true}\n'
    first, second, third = refused(good + b"{\n[1]\n")
    assert first == "f.csv:1: output_tokens: should be a number of tokens, not True"
    assert second.startswith("f.csv:2: is not JSON: ")
    assert third == "f.csv:3: is not an object"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "f.csv:1: has no requests"),
        (b"input_tokens,output_tokens\n", "f.csv:1: has no requests"),
        (b"prompt,answer\n1,2\n", "f.csv:2: has prompt, answer; known are ContextTokens, Gen"),
        (b"input_tokens\xff", "f.csv:1: is not UTF-8 text; save it as UTF-8"),
        (b"TIMESTAMP,ContextTokens,GeneratedTokens\n5,1,2\n", "TIMESTAMP: should be a time like"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(content: bytes, told: str) -> None:
    (line,) = refused(content)
    assert told in line


def test_a_field_that_csv_cannot_hold_is_told() -> None:
    (told,) = refused(b"input_tokens,output_tokens\n1,2\n" + b"9" * 200_000 + b",1\n")
    assert told == "f.csv:3: is not CSV: field larger than field limit (131072)"


def test_a_number_beyond_all_bounds_is_told() -> None:
    (told,) = refused(b'{"output_tokens": 1, "input_tokens": ' + b"9" * 400 + b"}")
    assert told.startswith("f.csv:1: input_tokens: should be a number of tokens, not 999")


def test_only_so_many_mistakes_are_told() -> None:
    told = refused(b"input_tokens,output_tokens\n" + b"x,1\n" * 1000)
    assert len(told) == MOST_TOLD + 1
    assert told[-1] == f"f.csv: and {1000 - MOST_TOLD} more lines are wrong"


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for read in (lengths.read, conversations.read):
        with contextlib.suppress(BadRequestFile):
            read(content, "f")


def chats(*turns: tuple[str, str]) -> bytes:
    entries = [
        {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]}
        for asked, answer in turns
    ]
    return json.dumps(entries, indent=1).encode()


def test_a_conversation_is_its_first_two_turns() -> None:
    more = [{"from": "human", "value": "again"}]
    entries = json.loads(chats(("why?", "so."), ("who?", "me.")))
    entries[0]["conversations"] += more
    entries.append({"id": "alone", "conversations": more})
    read = conversations.read(json.dumps(entries).encode(), "f")
    assert read == (("why?", "so."), ("who?", "me."))


def test_mistakes_in_conversations_are_told_with_line_and_key() -> None:
    content = b"""[
 {"conversations": [{"from": "human", "value": "a"},
                    {"from": "gpt", "value": 3}]},
 {"conversations": [{"value": "a"}, {"value": "b"}]},
 {"turns": []}, 7
]"""
    with pytest.raises(BadRequestFile) as caught:
        conversations.read(content, "f.json")
    assert str(caught.value).splitlines() == [
        "f.json:2: [0].conversations[1].value: should be text",
        "f.json:5: [2].conversations: should be a list of turns",
        "f.json:5: [3].conversations: should be a list of turns",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{}", "f.json:1: should be a list of conversations"),
        (b"[\n1,\n", "f.json:3: is not JSON: "),
        (b"[]\xff", "f.json:1: is not UTF-8 text"),
    ],
)
def test_a_file_without_conversations_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(BadRequestFile, match=told.replace("[", r"\[")):
        conversations.read(content, "f.json")


Maker = Callable[..., Workload]


@pytest.fixture
def make_workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """A workload whose file has this content; it lies in a folder of its own."""
    monkeypatch.setenv("TAILWATCH_WORKLOADS", str(tmp_path))

    def pinned(name: str, content: bytes) -> dict[str, Any]:
        (tmp_path / name).write_bytes(content)
        return {"path": name, "sha256": hashlib.sha256(content).hexdigest()}

    def make(content: bytes, words: bytes = b"", **asked: Any) -> Workload:
        file = pinned("requests", content) | asked.pop("file", {})
        if words:
            file |= {"holds": "conversations", "tokenizer": pinned("words", words)}
        usual = {
            "name": "any",
            "arrival": "offline",
            "requests": 2,
            "input_tokens": {"longest": 1024},
            "output_tokens": {"longest": 1024},
        }
        return Workload.model_validate(usual | {"file": file} | asked)

    return make


def test_recorded_requests_are_the_first_ones_in_time_that_fit(make_workload: Maker) -> None:
    rows = ("9,5,5", "3,6,6", "1,2000,4", "5,7,7")
    content = "\n".join(["at_s,input_tokens,output_tokens", *rows]).encode()
    asked = make_workload(content, arrival="open-loop", pattern="recorded", speed_up=2)
    for seed in (0, 1):
        drafts = draw(asked, seed=seed, vocabulary=1024)
        seen = [(d.scheduled_s, len(d.prompt), d.output_tokens) for d in drafts]
        assert seen == [(0.0, 6, 6), (1.0, 7, 7)]
    assert drafts != draw(asked, seed=0, vocabulary=1024)  # other tokens


def test_the_seed_chooses_which_lengths_are_asked(make_workload: Maker) -> None:
    rows = "".join(f"{at},{at + 1}\n" for at in range(1, 100)).encode()
    asked = make_workload(b"input_tokens,output_tokens\n" + rows, requests=50)
    ours, again, theirs = (
        [(len(d.prompt), d.output_tokens) for d in draw(asked, seed=seed, vocabulary=1024)]
        for seed in (0, 0, 1)
    )
    assert ours == again != theirs
    assert len(set(ours)) == 50  # each at most once
    assert all(answer == prompt + 1 for prompt, answer in ours)  # prompt and answer belong together


def test_a_file_with_too_few_requests_is_told(make_workload: Maker) -> None:
    content = b"input_tokens,output_tokens\n9,9\n3,9\n9,3\n900,500\n1025,9\n9,1025\n"
    limits = {"shortest": 4, "longest_total": 1100}
    with pytest.raises(BadRequestFile, match="1 of its requests are within the lengths of any, 2"):
        draw(make_workload(content, file=limits), seed=0, vocabulary=1024)


def test_recorded_times_need_times(make_workload: Maker) -> None:
    content = b"input_tokens,output_tokens\n9,9\n3,9\n"
    asked = make_workload(content, arrival="open-loop", pattern="recorded")
    with pytest.raises(BadRequestFile, match="has no times; one of TIMESTAMP, timestamp, at_s"):
        draw(asked, seed=0, vocabulary=1024)


def example(name: str) -> bytes:
    return (WORKLOADS / "example" / name).read_bytes()


@given(seed=st.integers(0, 10**6), window=st.integers(0, 11))
@settings(max_examples=20, deadline=None)
def test_conversations_are_asked_in_the_models_own_tokens(seed: int, window: int) -> None:
    names = ("conversations.json", "tokenizer.json")
    files = [
        {"path": f"example/{n}", "sha256": hashlib.sha256(example(n)).hexdigest()} for n in names
    ]
    asked = Workload.model_validate(
        {
            "name": "chat",
            "arrival": "offline",
            "requests": 12,
            "file": {**files[0], "holds": "conversations", "tokenizer": files[1]},
            "input_tokens": {"longest": 1024},
            "output_tokens": {"longest": 2044},
        }
    )
    drafts = draw(asked, seed=seed, vocabulary=1024)
    assert drafts == draw(asked, seed=seed, vocabulary=1024)
    model = Tokenizer.from_str(example("tokenizer.json").decode())
    answers = dict(conversations.read(example("conversations.json"), "f"))
    for draft in drafts:
        text = model.decode(list(draft.prompt))
        assert draft.prompt[0] == 1  # begin of sequence
        assert draft.output_tokens == len(model.encode(answers[text]).ids) - 1
    warming = warm_up(asked, drafts, seed=seed, window=window, vocabulary=1024)
    assert not {d.prompt[0] for d in warming} & {d.prompt[0] for d in drafts}


def test_the_tiny_mixtrals_own_tokenizer_reads_conversations(
    make_workload: Maker, shared_data: Path
) -> None:
    words = (shared_data / "tiny_mixtral" / "tokenizer.json").read_bytes()
    asked = make_workload(example("conversations.json"), words, requests=20)
    drafts = draw(asked, seed=0, vocabulary=1024)
    model = Tokenizer.from_str(words.decode())
    prompts = [pair[0] for pair in conversations.read(example("conversations.json"), "f")]
    assert {draft.prompt for draft in drafts} <= {tuple(model.encode(text).ids) for text in prompts}


def test_sentence_piece_models_are_tokenizers_too(make_workload: Maker, shared_data: Path) -> None:
    with tarfile.open(shared_data / "tokenizers.tgz") as archive:
        found = archive.extractfile("tokenizers/mistral_common/tokenizer.model.v1")
        assert found is not None
        words = found.read()
    content = chats(("Hello world, my friend", "Good day to you"), ("x", "y"))
    (draft,) = draw(make_workload(content, words, requests=1), seed=0, vocabulary=32_000)
    assert draft.prompt[:3] == (1, 22557, 1526)  # <s>, Hello, world: Mixtral-8x7B's own ids
    assert draft.output_tokens == 4
    with pytest.raises(BadRequestFile, match=r"makes token \d+, the model has 1024; name the tok"):
        draw(make_workload(content, words, requests=1), seed=0, vocabulary=1024)


@pytest.mark.parametrize("content", [b"{}", b'{"version": "1.0"}', b"not a model", b""])
def test_what_is_no_tokenizer_is_told(content: bytes) -> None:
    with pytest.raises(BadRequestFile, match=r"t\.json: is neither a tokenizer\.json nor"):
        tokenizer.load(content, "t.json")


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_file_must_still_be_what_was_planned(
    make_workload: Maker, tmp_path: Path, change: str
) -> None:
    asked = make_workload(GENERIC)
    if change == "removed":
        (tmp_path / "requests").unlink()
    else:
        (tmp_path / "requests").write_bytes(GENERIC + b"1,1,1\n")
    told = "no file requests in" if change == "removed" else "is not the file that was planned"
    with pytest.raises(BadRequestFile, match=told):
        draw(asked, seed=0, vocabulary=1024)
