"""What the benchmark must know of a load client."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fidelity.points import Point
from fidelity.truth import Seen


@dataclass(frozen=True, kw_only=True)
class Call:
    """One measurement that a tool is asked for."""

    place: Path
    """The tool's environment."""
    port: int
    point: Point
    tokenizer: Path
    """Folder of a tokenizer in Hugging Face's form."""
    folder: Path
    """Where the results go; empty."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A load client with its own command line."""

    name: str
    package: str | None
    """As a package index has it, with its version; None for ours."""
    command: Callable[[Call], Sequence[str]]
    read: Callable[[Path], list[Seen]]
    """What it says of each request, from the folder of its results. Failed ones are left out."""
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float
    """About how long a call takes beside the load itself: for the estimate."""
