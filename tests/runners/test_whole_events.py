"""Events that fill their chunks, in Python and compiled: both find the same ones."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.load import whole

try:
    from runners.load import _reads
except ImportError:
    _reads = None  # type: ignore[assignment]

needs_compiler = pytest.mark.skipif(_reads is None, reason="runners/load/_reads.c is not built")
KINDS = [
    pytest.param(whole.whole_events, id="python"),
    pytest.param(getattr(_reads, "whole_events", None), id="compiled", marks=needs_compiler),
]
Events = Callable[[bytes, int], tuple[list[int], list[int], int]]


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def event(tokens: int | bytes, text: bytes = b"a") -> bytes:
    count = tokens if isinstance(tokens, bytes) else b"%d" % tokens
    return b'data: {"text":"%b","usage":{"completion_tokens": %b,"x":1}}\n\n' % (text, count)


@pytest.mark.parametrize("whole_events", KINDS)
def test_each_event_has_its_place_and_its_tokens(whole_events: Events) -> None:
    first, second = chunk(event(1)), chunk(event(5))
    raw = b"head" + first + second + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    places, totals, rest = whole_events(raw, 4)
    assert totals == [1, 5]
    assert [raw[place - 3 : place + 1] for place in places] == [b"}}\n\n"] * 2
    assert rest == 4 + len(first) + len(second)


@pytest.mark.parametrize("whole_events", KINDS)
@pytest.mark.parametrize(
    "other",
    [
        b"",
        chunk(event(1))[:-1],  # still coming
        chunk(event(1) + event(2)),  # two in one chunk
        chunk(event(1)[:20]),  # a part of one
        chunk(event(1).replace(b"\n\n", b"\n")),
        chunk(event(1)).replace(b"\r\n", b";x=y\r\n", 1),  # an extension
        b"0" + chunk(event(1))[1:],  # another size
        chunk(event(b"null")),
        chunk(event(b"9" * 19)),
        b"f" * 16 + b"\r\n" + event(1) + b"\r\n",
        b"0\r\n\r\n",
    ],
)
def test_what_is_no_whole_event_ends_it(whole_events: Events, other: bytes) -> None:
    good = chunk(event(7))
    assert whole_events(good + other, 0) == ([len(good) - 3], [7], len(good))


@pytest.mark.parametrize("whole_events", KINDS)
def test_text_that_looks_like_a_count_is_not_one(whole_events: Events) -> None:
    text = rb"\"completion_tokens\": 9"  # as JSON writes a quote
    assert whole_events(chunk(event(3, text)), 0)[1] == [3]


pieces = st.one_of(
    st.integers(0, 10**20).map(lambda tokens: chunk(event(tokens))),
    st.binary(max_size=40).map(lambda text: chunk(event(2, text))),
    st.sampled_from([b"\r\n", b"\n\n", b"data: ", b'"completion_tokens":', b" 1", b"0", b"f"]),
    st.binary(max_size=8),
)


@needs_compiler
@settings(max_examples=500, deadline=None)
@given(st.lists(pieces, max_size=8).map(b"".join), st.integers(0, 400), st.binary(max_size=2))
def test_both_find_the_same_in_whatever_comes(raw: bytes, at: int, other: bytes) -> None:
    changed = raw[:at] + other + raw[at + len(other) :]
    assert _reads.whole_events(changed, 0) == whole.whole_events(changed, 0)


@needs_compiler
def test_a_place_outside_is_refused() -> None:
    with pytest.raises(IndexError):
        _reads.whole_events(b"abc", 4)
