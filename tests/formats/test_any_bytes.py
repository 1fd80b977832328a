"""Whatever the bytes are: trials with sound values, or a refusal that can be printed."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import Unreadable
from formats.recognise import read
from schema.imports import ImportedFile, ImportedTrial, Tool
from schema.trials import TrialState

FIXTURES = sorted((Path(__file__).parent / "fixtures").iterdir())
TOOLS = st.sampled_from([None, *Tool])
ODD: tuple[Any, ...] = (
    *(
        None,
        0,
        -1,
        -0.0,
        1e308,
        -1e308,
        2**60,
        10**400,
        0.5,
        True,
        "",
        "inf",
        "nan",
        "\0",
        "\ud800",
    ),
    *(
        float("nan"),
        float("inf"),
        [],
        {},
        [[]],
        [None],
        "20260101-000000",
        "9999-12-31T23:59:59-14:00",
    ),
)


def attempt(data: bytes, tool: Tool | None = None) -> ImportedFile | None:
    """What was read, checked; None after a refusal."""
    try:
        file = read("any", data, tool)
    except Unreadable as error:
        refusal = error
    else:
        for trial in file.trials:
            check(trial)
        return file
    assert refusal.line >= 1
    assert str(refusal).encode()
    return None


def check(trial: ImportedTrial) -> None:
    assert all(math.isfinite(value) and value >= 0 for value in trial.values.values())
    assert bool(trial.values) == (trial.state is not TrialState.FAILED)
    for text in texts(trial):
        assert "\0" not in text
        text.encode()
    for request in trial.requests:
        for value in asdict(request).values():
            numbers = value if isinstance(value, tuple) else (value,)
            own = [number for number in numbers if isinstance(number, int | float)]
            assert all(math.isfinite(number) and number >= 0 for number in own)


def texts(trial: ImportedTrial) -> Iterator[str]:
    told = (trial.reason, trial.build, trial.image, trial.tool_version)
    yield from (text for text in told if text is not None)
    yield from (request.error for request in trial.requests if request.error is not None)
    yield trial.subject.model_dump_json()
    for definition in trial.values:
        yield from (definition.name, definition.words, definition.unit)


@given(data=st.binary(max_size=200), tool=TOOLS)
def test_any_bytes_are_read_or_refused(data: bytes, tool: Tool | None) -> None:
    attempt(data, tool)


@given(text=st.text(max_size=200), tool=TOOLS)
def test_any_text_is_read_or_refused(text: str, tool: Tool | None) -> None:
    attempt(text.encode("utf-8", "surrogatepass"), tool)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False), tool=TOOLS)
def test_a_damaged_file_is_read_or_refused(
    path: Path, chance: random.Random, tool: Tool | None
) -> None:
    attempt(damaged(path.read_bytes(), chance), tool)


@pytest.mark.parametrize(
    "path", [path for path in FIXTURES if path.suffix == ".json"], ids=lambda path: path.name
)
@settings(max_examples=60, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_a_file_with_other_keys_and_values_is_read_or_refused(
    path: Path, chance: random.Random
) -> None:
    value = json.JSONDecoder().raw_decode(path.read_text())[0]
    for _ in range(chance.randint(1, 4)):
        value = changed(value, chance)
    attempt(json.dumps(value).encode())


def test_damaged_real_files_are_read_or_refused(shared_data: Path) -> None:
    """Each of them 30 times: flipped bits, cut ends, cut middles, other keys."""
    chance = random.Random(7)
    read_well = 0
    for path in sorted((shared_data / "results").rglob("*.*")):
        data = path.read_bytes()[: 2**17]
        for _ in range(30):
            read_well += attempt(damaged(data, chance)) is not None
    assert read_well > 100


@pytest.mark.parametrize(
    "data",
    [
        b"\x0b",  # white space of another kind: there was no first line
        b'{"model_id": 1, "num_prompts": {"\\ud800": 1}, "request_rate": 1, "x_ttft_ms": 1}',
        b'{"ttfts": ["\\ud800"], "model_id": 1, "num_prompts": 1, "request_rate": 1, "_ttft_ms":1}',
        b"a: 0x" + b"f" * 5000,  # more digits than Python writes
        b"0x" + b"f" * 5000 + b": 1",
        b"errors: [[0x" + b"f" * 5000 + b"]]",
    ],
)
def test_what_fuzzing_found_is_refused(data: bytes) -> None:
    for tool in (None, *Tool):
        assert attempt(data, tool) is None


@pytest.mark.parametrize("name", ["\0", "\ud800"])
def test_a_models_name_that_cannot_be_stored_is_made_storable(name: str) -> None:
    path = next(path for path in FIXTURES if path.name == "aiperf_2025.json")
    value = json.loads(path.read_text())
    value["input_config"]["endpoint"]["model_names"] = [name]
    file = attempt(json.dumps(value).encode())
    assert file is not None
    assert {trial.subject.model for trial in file.trials} == {"\ufffd"}


@pytest.mark.parametrize("error", ["\0", "\ud800", "x" * 5000])
def test_an_error_of_any_characters_can_be_stored(error: str) -> None:
    """Found by fuzzing: reasons kept what Postgres refuses."""
    path = next(path for path in FIXTURES if path.name == "vllm_0.30_details.json")
    document = json.loads(path.read_text()) | {"completed": 0, "errors": [error] * 4}
    file = attempt(json.dumps(document).encode())
    assert file is not None
    assert file.trials[0].state is TrialState.FAILED


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Some bits flipped, or a part cut out, or the end lost."""
    at, length = chance.randrange(len(data)), chance.randrange(1, 1 + len(data) // 4)
    kind = chance.randrange(3)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + length :]
    own = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        own[chance.randrange(len(own))] ^= 1 << chance.randrange(8)
    return bytes(own)


def changed(value: Any, chance: random.Random) -> Any:
    """One key or item dropped or replaced, at any depth."""
    if isinstance(value, dict) and value:
        key = chance.choice(sorted(value))
        if chance.random() < 0.3:
            return {name: inner for name, inner in value.items() if name != key}
        inner = chance.choice(ODD) if chance.random() < 0.4 else changed(value[key], chance)
        return value | {key: inner}
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        return [*value[:at], changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(ODD)
