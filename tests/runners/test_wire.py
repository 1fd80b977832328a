"""What the bytes of an answer say, and when they said it."""

import json
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.load import wire

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def event(content: str) -> bytes:
    return f"data: {content}\n\n".encode()


def usage(tokens: int) -> bytes:
    counts = {"prompt_tokens": 7, "completion_tokens": tokens}
    return event(json.dumps({"choices": [{}], "usage": counts}))


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def stream(*contents: bytes) -> bytes:
    """A whole answer with a chunk each."""
    return HEAD + b"".join(map(chunk, contents)) + LAST_CHUNK


def read(raw: bytes, *ends: int) -> wire.Answer:
    """Reads that ended there, stamped 1.0, 2.0 and so on."""
    places = [*ends, len(raw)]
    return wire.read(raw, places, [float(at + 1) for at in range(len(places))])


def test_each_event_has_the_stamp_of_the_read_that_completed_it() -> None:
    raw = stream(usage(1), usage(2), event("[DONE]"))
    second = raw.index(b"data:", raw.index(b"data:") + 1)
    whole = read(raw, len(HEAD), second - 4, second + 20)
    assert (whole.event_s, whole.event_tokens) == ((2.0, 4.0), (1, 2))
    assert (whole.prompt_tokens, whole.merged, whole.error) == (7, 0, None)


def test_events_that_were_read_together_are_counted() -> None:
    answer = read(stream(usage(1), usage(2), usage(3)), len(HEAD))
    assert answer.event_s == (2.0, 2.0, 2.0)
    assert answer.merged == 2


def test_tokens_are_counted_by_usage_and_events_without_new_ones_dropped() -> None:
    role = event('{"choices":[{"text":""}],"usage":null}')
    final = event('{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}')
    answer = read(stream(role, usage(2), usage(5), final, event("[DONE]")))
    assert answer.event_tokens == (2, 5)


@given(
    tokens=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 5000), max_size=20),
    chunks=st.lists(st.integers(1, 200), min_size=1, max_size=40),
)
def test_neither_chunks_nor_reads_change_what_was_said(
    tokens: list[int], cuts: list[int], chunks: list[int]
) -> None:
    totals = tuple(accumulate(tokens))
    content = b"".join(map(usage, totals)) + event("[DONE]")
    edges = [0, *(at for at in accumulate(chunks) if at < len(content)), len(content)]
    raw = stream(*(content[a:b] for a, b in pairwise(edges)))
    ends = sorted({cut for cut in cuts if cut < len(raw)})
    answer = read(raw, *ends)
    assert answer.error is None
    assert answer.event_tokens == totals
    assert list(answer.event_s) == sorted(answer.event_s)


@pytest.mark.parametrize("content", ["{not json", "3", "null", '{"error": {"message": "no"}}'])
def test_a_stream_that_cannot_be_read_says_so(content: str) -> None:
    answer = read(stream(usage(1), event(content)))
    assert (answer.error or "").startswith("unreadable stream: ")
    assert answer.event_s == ()


def test_a_stream_that_breaks_off_is_an_error() -> None:
    raw = stream(usage(1), usage(2))
    assert read(raw[:-9]).error == "unreadable stream: it broke off"
    assert read(raw[:20]).error == "the connection closed without an answer"
    assert read(stream(event("[DONE]"))).error == "the stream ended without a token"


def test_another_status_is_an_error_with_the_servers_words() -> None:
    body = b'{"error":{"message":"EngineCore encountered an issue"}}'
    head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert "HTTP 500" in (read(head + body).error or "")
    assert "EngineCore" in (read(head + body).error or "")


def test_how_long_an_answer_will_be() -> None:
    assert wire.expected(HEAD[:-1]) is None
    assert wire.expected(HEAD) == wire.CHUNKED
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n"
    assert wire.expected(head) == len(head) + 12


def walked(raw: bytes) -> int | None:
    """After reading byte by byte, as a stream does; it must not say that it is over before."""
    at: int | None = 0
    for end in range(len(HEAD), len(raw) + 1):
        assert at is not None, f"over at byte {end - 1} of {len(raw)}"
        if raw[:end].endswith(wire.MAYBE_LAST):
            at = wire.walk(raw[:end], at)
    return at


@given(contents=st.lists(st.sampled_from([LAST_CHUNK, b"10\r\n\r\n", b"x", usage(1), b"\r\n"])))
def test_content_that_looks_like_the_last_chunk_does_not_end_an_answer(
    contents: list[bytes],
) -> None:
    assert walked(stream(*contents)) is None


def test_a_trailer_belongs_to_the_answer() -> None:
    trailer = b"0\r\nServer-Timing: total;dur=1\r\nX: y\r\n\r\n"
    assert walked(HEAD + chunk(usage(1)) + trailer) is None


def test_a_chunk_whose_size_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="no chunk begins with b'zz'"):
        wire.walk(HEAD + b"zz\r\n\r\n", 0)


def test_a_request_is_one_body_for_both_engines() -> None:
    head, body = wire.request("127.0.0.1:8000", "m", (11, 12), 5).split(wire.HEAD_END)
    assert b"POST /v1/completions HTTP/1.1" in head
    assert b"Content-Length: %d" % len(body) in head
    asked = json.loads(body)
    assert asked["prompt"] == [11, 12]
    assert (asked["max_tokens"], asked["ignore_eos"], asked["temperature"]) == (5, True, 0)
    assert asked["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


@given(
    words=st.lists(st.text(alphabet='a"\\{}:\n', max_size=12), min_size=1, max_size=8),
    spaced=st.booleans(),
)
def test_what_a_text_says_of_tokens_or_errors_is_not_counted(
    words: list[str], spaced: bool
) -> None:
    """Text may look like usage or like an error."""
    separators = (", ", ": ") if spaced else (",", ":")
    events = []
    for number, word in enumerate(words, 1):
        text = f'{word}"completion_tokens": 99,"error"'
        counts = {"prompt_tokens": 7, "completion_tokens": number}
        content = {"choices": [{"text": text}], "usage": counts}
        events.append(event(json.dumps(content, separators=separators)))
    answer = read(stream(*events, event("[DONE]")))
    assert answer.error is None
    assert answer.event_tokens == tuple(range(1, len(words) + 1))
