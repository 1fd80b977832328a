"""Packed requests: every time comes back, in few bytes, and damage is never read as a number."""

import base64
import json
import math
import random
import struct
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schema.packed import BadPacked, pack_integers, pack_rows, unpack_integers, unpack_rows
from schema.requests import NONE, TICKS_PER_GAP, Request, Requests
from schema.trials import Launch

Make = Callable[..., Any]

moments = st.floats(-1e6, 1e6)
counts = st.integers(-(2**60), 2**60)
errors = st.sampled_from([None, "HTTP 503", "", "\0\udcff €"])


@st.composite
def sent(draw: st.DrawFn) -> list[Request]:
    """Any requests: failed, early, out of order, long gone."""
    indexes = draw(st.lists(counts, max_size=8, unique=True))
    return [
        Request(
            index=index,
            scheduled_s=draw(moments),
            sent_s=draw(moments),
            input_tokens=draw(counts),
            output_tokens=draw(counts),
            event_s=tuple(draw(st.lists(moments, max_size=12))),
            event_tokens=tuple(draw(st.lists(counts, max_size=12))),
            error=draw(errors),
        )
        for index in indexes
    ]


def plain(request: Request) -> dict[str, Any]:
    return request.model_dump(exclude={"scheduled_s", "sent_s", "event_s"})


def times(request: Request) -> tuple[float, ...]:
    return (request.scheduled_s, request.sent_s, *request.event_s)


def stream(index: int, *, gap_s: float, noise: float, tokens: int = 512) -> Request:
    """A stream whose gaps vary by `noise`, as a share."""
    source = random.Random(index)
    gaps = [gap_s * math.exp(source.gauss(0, noise)) for _ in range(tokens)]
    events = tuple(accumulate(gaps, initial=0.03 + index * 0.01))[1:]
    return Request(
        index=index, scheduled_s=index * 0.01, sent_s=index * 0.01, input_tokens=512,
        output_tokens=tokens, event_s=events, event_tokens=tuple(range(1, tokens + 1)),
    )  # fmt: skip


@given(sent())
def test_any_requests_come_back(requests: list[Request]) -> None:
    packed = Requests.of(requests)
    again = Requests(packed.packed)
    assert len(again) == len(requests)
    for mine, theirs in zip(requests, again, strict=True):
        assert plain(theirs) == plain(mine)
        for given_s, kept_s in zip(times(mine), times(theirs), strict=True):
            assert abs(given_s - kept_s) <= packed.unit_s / 2 * (1 + 1e-6)


def test_times_of_fast_engines_are_kept_to_half_a_microsecond() -> None:
    packed = Requests.of([stream(0, gap_s=0.004, noise=0.01)])
    assert packed.unit_s == 1e-6


@pytest.mark.parametrize("gap_s", [0.001, 0.0065, 0.02, 0.1, 30.0])
def test_the_unit_of_time_is_far_below_a_gap(gap_s: float) -> None:
    packed = Requests.of([stream(0, gap_s=gap_s, noise=0.3)])
    assert packed.unit_s <= max(1e-6, gap_s * 1.1 / TICKS_PER_GAP)


@pytest.mark.parametrize(
    ("gap_s", "noise"), [(0.0065, 0.01), (0.01, 0.1), (0.02, 0.3), (0.05, 0.5)]
)
def test_a_token_takes_at_most_two_bytes(gap_s: float, noise: float) -> None:
    packed = Requests.of([stream(index, gap_s=gap_s, noise=noise) for index in range(100)])
    assert len(packed.packed) <= 2 * 100 * 512


def test_what_was_packed_once_is_packed_alike_again() -> None:
    once = Requests.of([stream(0, gap_s=0.005, noise=0.1)])
    assert Requests.of(once) == once


@given(sent(), st.data())
def test_a_flipped_bit_is_never_read(requests: list[Request], data: st.DataObject) -> None:
    packed = bytearray(Requests.of(requests).packed)
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadPacked):
        Requests(bytes(packed))


@given(sent(), st.data())
def test_a_cut_is_never_read(requests: list[Request], data: st.DataObject) -> None:
    packed = Requests.of(requests).packed
    with pytest.raises(BadPacked):
        Requests(packed[: data.draw(st.integers(0, len(packed) - 1))])


def test_a_later_version_is_told_as_such() -> None:
    packed = bytearray(NONE.packed)
    packed[2] = 9
    with pytest.raises(BadPacked, match="version 9, this tailwatch reads 1: update it"):
        Requests(bytes(packed))


def test_rows_are_not_taken_for_requests() -> None:
    with pytest.raises(BadPacked, match="checksum"):
        Requests(pack_rows([]))


def test_an_index_that_is_there_twice_is_refused() -> None:
    with pytest.raises(BadPacked, match="requests 3 are there twice"):
        Requests.of(2 * [stream(3, gap_s=0.005, noise=0.1)])


@pytest.mark.parametrize("moment", [1e300, -1e300, 1e14])
def test_a_time_beyond_all_measure_is_refused(moment: float) -> None:
    absurd = Request(index=1, scheduled_s=0.0, sent_s=0.0, input_tokens=1, event_s=(0.0, moment))
    with pytest.raises(BadPacked, match="gaps holds an integer of more than 62 bits"):
        Requests.of([stream(0, gap_s=0.005, noise=0.1), absurd])


def test_requests_are_a_sequence() -> None:
    packed = Requests.of(stream(index, gap_s=0.005, noise=0.1) for index in range(3))
    assert [own.index for own in packed] == [0, 1, 2]
    assert packed[1:] == tuple(packed)[1:]
    assert packed == tuple(packed)
    assert not NONE


def test_a_document_holds_them_packed(make_launch: Make) -> None:
    launch = make_launch()
    document = launch.model_dump_json()
    (trial, _) = json.loads(document)["trials"]
    assert base64.b64decode(trial["requests"]) == launch.trials[0].requests.packed
    assert Launch.model_validate_json(document) == launch


def test_a_document_from_before_packing_is_read(make_launch: Make) -> None:
    """A spool survives an upgrade."""
    launch = make_launch()
    document = launch.model_dump(mode="json")
    for trial, own in zip(document["trials"], launch.trials, strict=True):
        trial["requests"] = [request.model_dump(mode="json") for request in own.requests]
    assert Launch.model_validate_json(json.dumps(document)) == launch


@pytest.mark.parametrize(
    ("requests", "why"),
    [
        ("no base64!", "are not base64"),
        ("AAAA", "no packed value of tailwatch"),
        (7, "a list or packed text, not int"),
        ([{"index": 0}], "Field required"),
    ],
)
def test_a_document_with_bad_requests_says_why(make_launch: Make, requests: Any, why: str) -> None:
    document = make_launch().model_dump(mode="json")
    document["trials"][0]["requests"] = requests
    with pytest.raises(ValidationError, match=why):
        Launch.model_validate_json(json.dumps(document))


@given(st.dictionaries(st.sampled_from("abc"), st.lists(counts)), errors)
def test_any_columns_come_back(columns: dict[str, list[int]], facts: str | None) -> None:
    assert unpack_integers(pack_integers(columns, facts)) == (columns, facts)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "at_s": st.floats(allow_nan=False, allow_infinity=False),
                "device": errors,
                "memory_bytes": st.none() | counts,
            }
        )
    )
)
def test_any_rows_come_back(rows: list[dict[str, Any]]) -> None:
    assert unpack_rows(pack_rows(rows)) == rows


def test_the_seal_is_as_documented() -> None:
    magic, version, kind, _ = struct.unpack_from("<2sBcI", NONE.packed)
    assert (magic, version, kind) == (b"TW", 1, b"i")
