"""What can be wrong with any file of requests, told at once."""

from collections.abc import Sequence

from runners.errors import BadRequestFile

MOST_TOLD = 20
"""A file of a million lines may be wrong in each."""


def refuse(name: str, found: Sequence[tuple[int, str]]) -> None:
    """Raise BadRequestFile if anything was found: (line, what)."""
    if not found:
        return
    told = [f"{name}:{line}: {what}" for line, what in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        told.append(f"{name}: and {len(found) - MOST_TOLD} more lines are wrong")
    raise BadRequestFile("\n".join(told))


def decoded(content: bytes, name: str) -> str:
    """The text of a file; raises BadRequestFile when it is none."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadRequestFile(f"{name}:{line}: is not UTF-8 text; save it as UTF-8") from error
