"""Requests: what was sent during a trial, and when each token came back."""

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain, pairwise
from statistics import median_low
from typing import Annotated, Any, overload

from pydantic import PlainSerializer, PlainValidator

from schema.packed import BadPacked, facts_of, pack_integers, unpack_integers
from schema.words import Word

TICKS_PER_S = 1_000_000
"""Times are kept in microseconds, or in a multiple of them where gaps are long."""
TICKS_PER_GAP = 2048
"""The unit of time is the largest power of two of microseconds, from 1 up, of which the median
gap between events has this many: coarser would show, finer would only keep noise."""


class Request(Word):
    """One call sent during a trial. Seconds since the measured window began."""

    index: int
    scheduled_s: float
    sent_s: float
    input_tokens: int
    output_tokens: int = 0
    """Counted by the engine's usage, never by events."""
    event_s: tuple[float, ...] = ()
    """When each event with tokens was read, before it was parsed."""
    event_tokens: tuple[int, ...] = ()
    """Tokens received so far at each event: engines merge several into one."""
    error: str | None = None


class Requests(Sequence[Request]):
    """A trial's requests in their order, kept packed and unpacked only when they are looked at.

    Every time is within half a unit of time of what was given, see TICKS_PER_GAP.
    """

    def __init__(self, packed: bytes) -> None:
        """Raises BadPacked when these are no requests, or damaged ones."""
        self.packed = packed
        self._facts: dict[str, Any] = facts_of(packed)

    @classmethod
    def of(cls, given: Iterable[Request]) -> "Requests":
        """Pack them; raises BadPacked when an index is there twice or times are absurd."""
        return cls(_pack(list(given)))

    @property
    def unit_s(self) -> float:
        """The unit of time that these requests are kept in."""
        return float(self._facts["tick"] / TICKS_PER_S)

    def __len__(self) -> int:
        return int(self._facts["count"])

    def __iter__(self) -> Iterator[Request]:
        return iter(self._unpacked)

    @overload
    def __getitem__(self, at: int) -> Request: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Request, ...]: ...
    def __getitem__(self, at: int | slice) -> Request | tuple[Request, ...]:
        return self._unpacked[at]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Requests):
            return self.packed == other.packed
        return self._unpacked == other

    def __hash__(self) -> int:
        return hash(self.packed)

    def __repr__(self) -> str:
        return f"Requests({len(self)} in {len(self.packed)} bytes)"

    @cached_property
    def _unpacked(self) -> tuple[Request, ...]:
        return tuple(_unpack(self.packed))


def _read(given: Any) -> Requests:
    """From a document: packed in base64, or one object a request as documents had it before."""
    if isinstance(given, Requests):
        return given
    if isinstance(given, str):
        try:
            return Requests(base64.b64decode(given, validate=True))
        except binascii.Error as error:
            raise BadPacked(f"packed requests are not base64: {error}") from error
    if isinstance(given, list | tuple):
        return Requests.of(Request.model_validate(own) for own in given)
    raise BadPacked(f"requests are a list or packed text, not {type(given).__name__}")


def _write(own: Requests) -> str:
    return base64.b64encode(own.packed).decode()


PackedRequests = Annotated[
    Requests,
    PlainValidator(_read),
    PlainSerializer(_write, return_type=str, when_used="json"),
]
"""Requests as a field of a word: packed in its JSON."""


def _pack(requests: Sequence[Request]) -> bytes:
    twice = [str(at) for at, count in Counter(r.index for r in requests).items() if count > 1]
    if twice:
        raise BadPacked(f"requests {', '.join(twice[:5])} are there twice")
    tick = _tick([b - a for own in requests for a, b in pairwise(own.event_s)])
    per_s = TICKS_PER_S / tick
    scheduled = [round(own.scheduled_s * per_s) for own in requests]
    sent = [round(own.sent_s * per_s) for own in requests]
    events = [[round(at * per_s) for at in own.event_s] for own in requests]
    columns = {
        "index": _steps(0, [own.index for own in requests]),
        "scheduled": _steps(0, scheduled),
        "late": [b - a for a, b in zip(scheduled, sent, strict=True)],
        "input_tokens": [own.input_tokens for own in requests],
        "output_tokens": [own.output_tokens for own in requests],
        "events": [len(own.event_s) for own in requests],
        "counts": [len(own.event_tokens) for own in requests],
        "gaps": list(chain.from_iterable(map(_steps, sent, events))),
        "tokens": [step for own in requests for step in _steps(0, own.event_tokens)],
    }
    errors = {str(at): own.error for at, own in enumerate(requests) if own.error is not None}
    return pack_integers(columns, {"count": len(requests), "tick": tick, "errors": errors})


def _unpack(packed: bytes) -> Iterator[Request]:
    columns, facts = unpack_integers(packed)
    tick, errors = facts["tick"], facts["errors"]
    gaps, tokens = iter(columns["gaps"]), iter(columns["tokens"])
    scheduled = accumulate(columns["scheduled"])
    rows = zip(accumulate(columns["index"]), scheduled, columns["late"],
               columns["input_tokens"], columns["output_tokens"],
               columns["events"], columns["counts"], strict=True)  # fmt: skip
    for at, (index, due, late, asked, answered, events, counts) in enumerate(rows):
        sent = due + late
        yield Request(
            index=index,
            scheduled_s=due * tick / TICKS_PER_S,
            sent_s=sent * tick / TICKS_PER_S,
            input_tokens=asked,
            output_tokens=answered,
            event_s=tuple([t * tick / TICKS_PER_S for t in _sums(sent, gaps, events)]),
            event_tokens=tuple(_sums(0, tokens, counts)),
            error=errors.get(str(at)),
        )


def _tick(gaps: Sequence[float]) -> int:
    """Microseconds of the unit of time."""
    typical = median_low(gaps) * TICKS_PER_S / TICKS_PER_GAP if gaps else 0.0
    return 1 << max(0, int(typical).bit_length() - 1)


def _steps(before: int, values: Sequence[int]) -> list[int]:
    return [b - a for a, b in pairwise((before, *values))]


def _sums(before: int, steps: Iterator[int], count: int) -> list[int]:
    """Undoes _steps for the next `count` of them."""
    return list(accumulate((next(steps) for _ in range(count)), initial=before))[1:]


NONE = Requests.of(())
"""No request was sent."""
