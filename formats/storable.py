"""Text that a database and a terminal can keep, whatever a file held."""

import re

LONGEST = 1000
"""Characters of a text that is kept."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """Without zeros and halves of characters, and no longer than anybody reads."""
    return _UNSTORABLE.sub("\ufffd", text)[:LONGEST]
