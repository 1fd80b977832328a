"""Experts as engines return them: for every token and layer those that its router chose. Pure."""

import ast
import base64
import binascii
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAGIC = b"\x93NUMPY"
CODES = {1: "B", 2: "H", 4: "I"}
"""Codes of `array` by bytes of an unsigned integer."""


class BadExperts(ValueError):
    """What came with an answer are no experts of its tokens."""


@dataclass(frozen=True, kw_only=True)
class Experts:
    """Numbers of the chosen experts, in C order of (tokens, layers, experts of a token)."""

    chosen: Sequence[int]
    shape: tuple[int, ...] | None
    """As told; None where the engine sends the bare numbers."""


def text_at(answer: Mapping[str, object], *path: str | int) -> str:
    """The text at a place of an answer; raises BadExperts when it is not there."""
    here: Any = answer
    for step in path:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
    if not isinstance(here, str):
        place = ".".join(map(str, path))
        raise BadExperts(f"the answer has no {place}: this version returns none, or not here")
    return here


def from_npy(text: str) -> Experts:
    """base64 of a .npy file of unsigned integers, as vLLM sends it.

    The format is that of NEP 1: magic, version, length of the header, the header as a Python
    literal, the numbers. Read by hand because a GPU host needs no NumPy for anything else.
    """
    raw = _decoded(text)
    wide = 4 if raw[6:7] > b"\x01" else 2
    begin = 8 + wide + int.from_bytes(raw[8 : 8 + wide], "little")
    try:
        header = ast.literal_eval(raw[8 + wide : begin].decode("latin-1"))
        kind, shape = str(header["descr"]), tuple(map(int, header["shape"]))
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise BadExperts(f"not a .npy file: {error}") from error
    if not raw.startswith(MAGIC) or kind[:2] not in {"|u", "<u"} or header.get("fortran_order"):
        raise BadExperts(f"not a .npy file of unsigned integers in C order: {kind}")
    return Experts(chosen=_numbers(raw[begin:], int(kind[2:])), shape=shape)


def from_int32(text: str) -> Experts:
    """base64 of bare little-endian int32, as SGLang sends it."""
    return Experts(chosen=_numbers(_decoded(text), 4), shape=None)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadExperts(f"not base64: {error}") from error


def _numbers(raw: bytes, width: int) -> "array[int]":
    """Read as unsigned: a negative number is too large for any expert."""
    if width not in CODES or len(raw) % width:
        raise BadExperts(f"{len(raw)} bytes are no numbers of {width} bytes")
    numbers = array(CODES[width], raw)
    if sys.byteorder != "little":
        numbers.byteswap()
    return numbers
