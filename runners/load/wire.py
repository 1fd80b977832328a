"""The bytes of one completion request, and what its answer's bytes say and when. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from pydantic_core import from_json

try:
    from runners.load._reads import whole_events
except ImportError:  # not built here: the same in Python
    from runners.load.whole import whole_events

HEAD_END = b"\r\n\r\n"
MAYBE_LAST = b"\r\n\r\n"
"""Ends the last chunk and its trailer. Content may end so too: `walk` tells them apart."""
CHUNKED = -1
DATA = b"data:"
NO_USAGE: dict[str, int] = {}
ERROR = b'"error"'
"""In a JSON string the quote after a word is escaped: neither of the two is ever found in text."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A stream of server-sent events, read."""

    event_s: tuple[float, ...] = ()
    """Stamp of the read that completed each event with new tokens."""
    event_tokens: tuple[int, ...] = ()
    """Tokens so far, by the engine's usage: several merged into one event count as several."""
    prompt_tokens: int = 0
    merged: int = 0
    """Events that share their stamp with the one before: they came apart and were read together."""
    error: str | None = None


def request(host: str, served_name: str, prompt: Sequence[int], output_tokens: int) -> bytes:
    """One body for both engines: ids instead of text, greedy, exact length, usage in the stream."""
    body = json.dumps(
        {
            "model": served_name,
            "prompt": list(prompt),
            "max_tokens": output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
    ).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def expected(raw: bytes | bytearray) -> int | None:
    """Bytes of the whole response: CHUNKED where only its last chunk tells, None while its head is
    still coming."""
    end = raw.find(HEAD_END)
    if end < 0:
        return None
    length = _header(bytes(raw[:end]), b"content-length")
    return CHUNKED if length is None else end + len(HEAD_END) + int(length)


def walk(raw: bytes | bytearray, at: int) -> int | None:
    """Where the first chunk begins that is not whole, from the chunk at `at` on (0: from the head).

    None after the last chunk and its trailer. Raises ValueError for a size that is no number.
    """
    at = at or raw.index(HEAD_END) + len(HEAD_END)
    while (line := raw.find(b"\r\n", at)) >= 0:
        size = _size(raw[at:line])
        if size == 0:
            return None if raw.find(HEAD_END, line) >= 0 else at
        if line + 2 + size + 2 > len(raw):
            return at
        at = line + 2 + size + 2
    return at


def read(raw: bytes, ends: Sequence[int], stamps: Sequence[float]) -> Answer:
    """What a whole response says. Read i ended at byte `ends[i]` and has the stamp `stamps[i]`."""
    end = raw.find(HEAD_END)
    if end < 0:
        return Answer(error="the connection closed without an answer")
    status = raw[:end].split(b" ", 2)[1] if raw.startswith(b"HTTP/1.") else b"?"
    chunked = _header(raw[:end], b"transfer-encoding") == b"chunked"
    at = end + len(HEAD_END)
    if status == b"200":
        return _events(_told(raw, at, chunked=chunked), ends, stamps)
    try:
        body = b"".join(raw[start:stop] for start, stop in _pieces(raw, at, chunked=chunked))
    except ValueError as broken:
        return Answer(error=f"unreadable stream: {broken}")
    return Answer(error=f"HTTP {status.decode(errors='replace')}: {body[:200]!r}")


def _events(
    told: Iterator[tuple[int, int, int]], ends: Sequence[int], stamps: Sequence[float]
) -> Answer:
    times: list[float] = []
    totals: list[int] = []
    prompt_tokens, merged, last, before, number = 0, 0, -1, 0, 0
    try:
        for place, total, prompt_tokens in told:  # noqa: B007 (the last one stays)
            if total > before:
                while ends[number] < place:
                    number += 1
                merged += number == last
                last, before = number, total
                times.append(stamps[number])
                totals.append(total)
    except (ValueError, TypeError, AttributeError) as broken:
        return Answer(error=f"unreadable stream: {broken}")
    if not times:
        return Answer(prompt_tokens=prompt_tokens, error="the stream ended without a token")
    return Answer(
        event_s=tuple(times),
        event_tokens=tuple(totals),
        prompt_tokens=prompt_tokens,
        merged=merged,
    )


def _told(raw: bytes, at: int, *, chunked: bool) -> Iterator[tuple[int, int, int]]:
    """(byte at which it was complete, tokens so far, tokens of the prompt) of each event."""
    prompt_tokens = 0
    if chunked and ERROR not in raw:
        places, totals, rest = whole_events(raw, at)
        if places:
            prompt_tokens = _usage(raw[raw.index(DATA, at) : places[0]]).get("prompt_tokens") or 0
        yield from zip(places, totals, repeat(prompt_tokens), strict=False)
        at = rest
    for line, place in _lines(raw, _pieces(raw, at, chunked=chunked)):
        if line.startswith(DATA) and line[len(DATA) :].strip() != b"[DONE]":
            usage = _usage(line)
            prompt_tokens = usage.get("prompt_tokens") or prompt_tokens
            yield place, usage.get("completion_tokens") or 0, prompt_tokens


def _usage(line: bytes) -> dict[str, int]:
    """What an event counts; raises ValueError for an error or for what is no event."""
    event = from_json(line[len(DATA) :])
    if not isinstance(event, dict) or "error" in event:
        raise ValueError(str(event)[:200])
    return event.get("usage") or NO_USAGE


def _pieces(raw: bytes, at: int, *, chunked: bool) -> Iterator[tuple[int, int]]:
    """(start, stop) of what belongs to the content; raises ValueError where it breaks off."""
    return _chunks(raw, at) if chunked else iter([(at, len(raw))])


def _chunks(raw: bytes, at: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the content of each chunk (RFC 9112, section 7.1)."""
    while True:
        line = raw.find(b"\r\n", at)
        if line < 0:
            raise ValueError("it broke off")
        size = _size(raw[at:line])
        if not size:
            return
        start = line + 2
        if start + size + 2 > len(raw):
            raise ValueError("it broke off")
        yield start, start + size
        at = start + size + 2


def _size(line: bytes | bytearray) -> int:
    """Of a chunk, without its extensions."""
    try:
        return int(line.partition(b";")[0] if b";" in line else line, 16)
    except ValueError:
        raise ValueError(f"no chunk begins with {bytes(line[:40])!r}") from None


def _lines(raw: bytes, pieces: Iterable[tuple[int, int]]) -> Iterator[tuple[bytes, int]]:
    """Each line with content, and the byte of `raw` after its end: there it was complete."""
    rest = b""
    for start, stop in pieces:
        at = start
        while (newline := raw.find(b"\n", at, stop)) >= 0:
            if rest or newline > at:
                yield rest + raw[at:newline], newline + 1
            rest, at = b"", newline + 1
        rest += raw[at:stop]


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(name + b":"):
            return line.partition(b":")[2].strip()
    return None
