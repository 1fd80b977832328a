"""From bytes to text: compression and encoding."""

import codecs
import gzip
import zlib

from formats.errors import Unreadable

LARGEST = 2**30
"""Bytes of text beyond which a file is refused: a small gzip can hold any amount of zeros."""
_GZIP = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_of(content: bytes) -> str:
    """The text of a file, unpacked if it is a gzip; raises Unreadable."""
    plain = _unpacked(content) if content.startswith(_GZIP) else content
    mark, encoding = next(
        (known for known in _MARKS if plain.startswith(known[0])), (b"", _guessed(plain))
    )
    body = plain[len(mark) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body.count("\n".encode(encoding), 0, error.start) + 1
        raise Unreadable(f"is not {encoding.upper()} text; save it as UTF-8", line) from error
    if not text.replace("\0", "").strip():
        raise Unreadable("is empty")
    return text


def _unpacked(content: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    parts, size, rest = [], 0, content
    try:
        while rest.startswith(_GZIP) and size <= LARGEST:
            parts.append(inflater.decompress(rest, LARGEST + 1 - size))
            size += len(parts[-1])
            if not inflater.eof and size <= LARGEST:
                raise Unreadable("is a gzip that ends too early; copy it again")
            rest, inflater = inflater.unused_data, zlib.decompressobj(wbits=31)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable(f"is a damaged gzip ({error}); copy it again") from error
    if size > LARGEST:
        raise Unreadable(f"unpacks to more than {LARGEST:,} bytes; split it")
    return b"".join(parts)


def _guessed(plain: bytes) -> str:
    """UTF-16 without a mark betrays itself: its first characters are ASCII, hence half zeros."""
    first = plain[:4]
    if len(first) == 4 and first[1] == first[3] == 0 and first[0] and first[2]:
        return "utf-16-le"
    if len(first) == 4 and first[0] == first[2] == 0 and first[1] and first[3]:
        return "utf-16-be"
    return "utf-8"
