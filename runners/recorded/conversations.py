"""Conversations from the JSON of ShareGPT: [{"conversations": [{"from", "value"}, ...]}, ...]."""

import json
from typing import Any

from runners.errors import BadRequestFile
from runners.recorded.mistakes import decoded, refuse

Pair = tuple[str, str]
"""What was asked first, and the answer."""


def read(content: bytes, name: str) -> tuple[Pair, ...]:
    """The first two turns of every conversation that has them, as vLLM's and SGLang's clients do.

    Raises BadRequestFile with every mistake as `file:line: key: what`.
    """
    text = decoded(content, name)
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadRequestFile(f"{name}:{error.lineno}: is not JSON: {error.msg}") from error
    if not isinstance(entries, list):
        raise BadRequestFile(f"{name}:1: should be a list of conversations")
    wrong: dict[int, str] = {}
    pairs = [_pair(entry, number, wrong) for number, entry in enumerate(entries)]
    if wrong:
        lines = _lines(text)
        refuse(name, [(lines[number], what) for number, what in wrong.items()])
    return tuple(pair for pair in pairs if pair is not None)


def _pair(entry: Any, number: int, wrong: dict[int, str]) -> Pair | None:
    """None where there are fewer than two turns."""
    turns = entry.get("conversations") if isinstance(entry, dict) else None
    if not isinstance(turns, list):
        wrong[number] = f"[{number}].conversations: should be a list of turns"
        return None
    if len(turns) < 2:
        return None
    said = [turn.get("value") if isinstance(turn, dict) else None for turn in turns[:2]]
    for at, value in enumerate(said):
        if not isinstance(value, str):
            wrong[number] = f"[{number}].conversations[{at}].value: should be text"
            return None
    return str(said[0]), str(said[1])


def _lines(text: str) -> list[int]:
    """The line on which each entry of a list begins."""
    found: list[int] = []
    decoder, at, line, counted = json.JSONDecoder(), text.index("[") + 1, 1, 0
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "]":
            return found
        line, counted = line + text.count("\n", counted, at), at
        found.append(line)
        _, at = decoder.raw_decode(text, at)
