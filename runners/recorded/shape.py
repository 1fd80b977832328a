"""One request as a file has it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How long it is, and where the file says so, when it came and what was asked."""

    input_tokens: int
    output_tokens: int
    at_s: float | None = None
    """Seconds; only differences count."""
    prompt: tuple[int, ...] = ()
    """Token ids; empty where only lengths are known."""
