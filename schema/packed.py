"""Packed columns: many numbers in few bytes, sealed so that no damage is ever read as a number.

A packed value is `TW`, the version of this format, what it holds, and a CRC-32 of all of that and
the body. Integers are centred on their median, written as zigzag numbers and split into byte
planes: the noisy low bytes lie together and cost what they must, the quiet high bytes nearly
nothing. Only the standard library is used, because a GPU host packs its own trials.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

VERSION = 1
_SEAL = struct.Struct("<2sBcI")
_HEAD = struct.Struct("<I")
_MAGIC = b"TW"
_INTEGERS, _ROWS = b"i", b"r"
_WORD = 8  # bytes of the integers, 64 bits


class BadPacked(ValueError):
    """What should be a packed value is none, was damaged, or cannot be packed."""


def pack_integers(columns: Mapping[str, Sequence[int]], facts: Any) -> bytes:
    """Columns of any lengths with any JSON-able facts beside them.

    Raises BadPacked for an integer of 63 bits or more.
    """
    planes, described = [], {}
    for name, values in columns.items():
        own, described[name] = _pack_column(name, values)
        planes.append(own)
    head = _as_json([facts, described])
    return _sealed(_INTEGERS, b"".join([_HEAD.pack(len(head)), head, *planes]))


def unpack_integers(packed: bytes) -> tuple[dict[str, list[int]], Any]:
    """(columns, facts); raises BadPacked."""
    content = zlib.decompress(_opened(_INTEGERS, packed))
    (length,) = _HEAD.unpack_from(content)
    place = _HEAD.size + length
    facts, described = json.loads(content[_HEAD.size : place])
    columns = {}
    for name, (count, centre, width) in described.items():
        end = place + count * width
        columns[name] = _unpack_column(content[place:end], count, centre, width)
        place = end
    return columns, facts


def facts_of(packed: bytes) -> Any:
    """The facts beside the columns, without unpacking these; raises BadPacked."""
    stream = zlib.decompressobj()
    (length,) = _HEAD.unpack(stream.decompress(_opened(_INTEGERS, packed), _HEAD.size))
    return json.loads(stream.decompress(stream.unconsumed_tail, length))[0]


def pack_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON-able rows that share their keys, kept column by column."""
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    return _sealed(_ROWS, _as_json(columns))


def unpack_rows(packed: bytes) -> list[dict[str, Any]]:
    """The rows in their order; raises BadPacked."""
    columns = json.loads(zlib.decompress(_opened(_ROWS, packed)))
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _pack_column(name: str, values: Sequence[int]) -> tuple[bytes, tuple[int, int, int]]:
    """(byte planes, (count, centre, how many planes))"""
    centre = median_low(values) if values else 0
    moved = [value - centre for value in values]
    zigzag = [(value << 1) ^ (value >> 63) for value in moved]
    try:
        words = struct.pack(f"<{len(zigzag)}Q", *zigzag)
    except struct.error:
        raise BadPacked(f"{name} holds an integer of more than 62 bits") from None
    width = (max(zigzag, default=0).bit_length() + 7) // 8
    planes = b"".join(words[plane::_WORD] for plane in range(width))
    return planes, (len(values), centre, width)


def _unpack_column(planes: bytes, count: int, centre: int, width: int) -> list[int]:
    words = bytearray(count * _WORD)
    for plane in range(width):
        words[plane::_WORD] = planes[plane * count : (plane + 1) * count]
    zigzag = struct.unpack(f"<{count}Q", words)
    return [((word >> 1) ^ -(word & 1)) + centre for word in zigzag]


def _as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _sealed(kind: bytes, body: bytes) -> bytes:
    shut = zlib.compress(body)
    return _SEAL.pack(_MAGIC, VERSION, kind, zlib.crc32(shut, zlib.crc32(kind))) + shut


def _opened(kind: bytes, packed: bytes) -> bytes:
    """The compressed body; raises BadPacked unless it is whole and of this kind."""
    if len(packed) < _SEAL.size or not packed.startswith(_MAGIC):
        raise BadPacked("this is no packed value of tailwatch")
    _, version, found, checksum = _SEAL.unpack_from(packed)
    if version != VERSION:
        raise BadPacked(f"packed in version {version}, this tailwatch reads {VERSION}: update it")
    body = packed[_SEAL.size :]
    if found != kind or zlib.crc32(body, zlib.crc32(kind)) != checksum:
        raise BadPacked("the packed value is damaged: its checksum differs")
    return body
