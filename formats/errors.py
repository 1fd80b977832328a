"""Why a file cannot be read."""

from formats.storable import storable


class FormatError(Exception):
    """What the readers can foresee."""


class Unreadable(FormatError):
    """A file is not what it should be: nothing of it is used. `line` counts from 1."""

    def __init__(self, reason: str, line: int = 1) -> None:
        self.reason = storable(reason)
        super().__init__(f"line {line}: {self.reason}")
        self.line = line
