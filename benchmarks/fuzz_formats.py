"""Coverage-guided fuzzing of the readers of `formats/`: any bytes are read or refused.

    python benchmarks/fuzz_formats.py corpus/ [FILE_OR_FOLDER...] -- -max_total_time=3600

The files are seeds; everything after `--` goes to libFuzzer (`-max_total_time` is in seconds). A
finding does not end the run: each is kept once, with its traceback, in `corpus/../findings/`, and
`corpus/../tally.json` counts what was read and refused. libFuzzer tells inputs and coverage.
Needs atheris, which is no dependency of the project: `pip install atheris`.
"""

import hashlib
import json
import math
import random
import sys
import traceback
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["formats", "schema.imports", "json", "yaml"]):
    from formats.errors import Unreadable
    from formats.recognise import read
    from schema.imports import ImportedTrial, Tool
    from schema.trials import TrialState

TOOLS = (None, *Tool)
"""The first byte of an input says which tool is forced; 0: the content decides."""
ODD = (
    *(
        None,
        0,
        -1,
        1e308,
        -1e308,
        10**400,
        2**53 + 1,
        0.5,
        True,
        "",
        "inf",
        "nan",
        "1_0",
        "\0",
        "\ud800",
    ),
    *(
        float("nan"),
        float("inf"),
        [],
        {},
        [[]],
        {"": None},
        "20260101-000000",
        "9999-12-31T23:59:59-14:00",
    ),
)
LONGEST_SEED = 2**16
TALLY_EVERY = 5_000
SEEN: Counter[str] = Counter()


def check(trial: ImportedTrial) -> None:
    """What every trial that was read must keep, whatever the file."""
    assert all(math.isfinite(value) and value >= 0 for value in trial.values.values())
    assert trial.state is not TrialState.FAILED or not trial.values
    assert trial.state is TrialState.FAILED or trial.values
    texts = [trial.reason, trial.build, trial.image, trial.tool_version, *_texts(trial)]
    for text in filter(None, texts):
        text.encode()
        assert "\0" not in text
    for request in trial.requests:
        for name, value in asdict(request).items():
            numbers = value if isinstance(value, tuple) else (value,)
            own = [number for number in numbers if isinstance(number, int | float)]
            assert all(math.isfinite(number) and number >= 0 for number in own), name


def _texts(trial: ImportedTrial) -> list[str]:
    told = [text for definition in trial.values for text in (definition.name, definition.words)]
    return (
        told + [definition.unit for definition in trial.values] + [trial.subject.model_dump_json()]
    )


def one_input(data: bytes) -> None:
    SEEN["inputs"] += 1
    if SEEN["inputs"] % TALLY_EVERY == 0:
        FINDINGS.with_name("tally.json").write_text(json.dumps(SEEN, indent=1))
    if len(data) < 2:
        return
    try:
        attempt(data)
    except Exception as error:  # noqa: BLE001 (every other kind is a finding)
        keep(data, error)


def attempt(data: bytes) -> None:
    try:
        found = read("input", data[1:], TOOLS[data[0] % len(TOOLS)])
    except Unreadable as refusal:
        refused = refusal
    else:
        SEEN[f"read {found.tool}"] += 1
        for trial in found.trials:
            check(trial)
        return
    SEEN["refused"] += 1
    assert refused.line >= 1
    str(refused).encode()


def keep(data: bytes, error: Exception) -> None:
    """Once for each place in the code."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])
    name = hashlib.sha256(f"{type(error).__name__} {place}".encode()).hexdigest()[:12]
    SEEN[f"finding {name}"] += 1
    if SEEN[f"finding {name}"] == 1:
        FINDINGS.mkdir(parents=True, exist_ok=True)
        (FINDINGS / name).write_bytes(data)
        (FINDINGS / f"{name}.txt").write_text("".join(traceback.format_exception(error)))


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time a change of the JSON's structure, which bytes alone seldom give."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return atheris.Mutate(data, most)
    try:
        value = json.loads(data[1:])
    except (ValueError, RecursionError):
        return atheris.Mutate(data, most)
    for _ in range(chance.randint(1, 3)):
        value = _changed(value, chance)
    try:
        changed = data[:1] + json.dumps(value).encode()
    except (ValueError, RecursionError):
        return atheris.Mutate(data, most)
    return changed if len(changed) <= most else atheris.Mutate(data, most)


def _changed(value: Any, chance: random.Random) -> Any:
    """One key or item dropped, replaced or moved, at any depth."""
    if isinstance(value, dict) and value:
        key = chance.choice(list(value))
        return _with(value, key, chance)
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        inner = _changed(value[at], chance) if chance.random() < 0.7 else chance.choice(ODD)
        return [*value[:at], inner, *value[at + 1 :]]
    return chance.choice(ODD)


def _with(value: dict[str, Any], key: str, chance: random.Random) -> dict[str, Any]:
    draw = chance.random()
    if draw < 0.2:
        return {name: inner for name, inner in value.items() if name != key}
    if draw < 0.4:
        return value | {key: chance.choice(ODD)}
    if draw < 0.5:
        return value | {
            chance.choice(["engine", "tp", "\ud800", "p99_ttft_ms", "metadata"]): value[key]
        }
    return value | {key: _changed(value[key], chance)}


def seed(corpus: Path, sources: list[Path]) -> None:
    """Seeds, cut to a length that mutates fast: JSON lines keep their first lines."""
    corpus.mkdir(parents=True, exist_ok=True)
    files = [
        file for source in sources for file in ([source] if source.is_file() else source.rglob("*"))
    ]
    for file in files:
        if file.is_file():
            data = file.read_bytes()
            cut = (
                data
                if len(data) <= LONGEST_SEED
                else data[: data.rfind(b"\n", 0, LONGEST_SEED) + 1]
            )
            for forced in (0, 1 + len(file.name) % len(Tool)):
                (corpus / f"{file.name[:60]}-{forced}").write_bytes(
                    bytes([forced]) + (cut or data[:LONGEST_SEED])
                )


def main() -> None:
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    corpus, *sources = map(Path, sys.argv[1:split])
    global FINDINGS
    FINDINGS = corpus.parent / "findings"
    seed(corpus, sources)
    options = [sys.argv[0], str(corpus), f"-max_len={LONGEST_SEED}", *sys.argv[split + 1 :]]
    atheris.Setup(options, one_input, custom_mutator=mutate)
    atheris.Fuzz()


FINDINGS = Path("findings")

if __name__ == "__main__":
    main()
