"""Confirmations: what a night does about its suspicions before it ends."""

from pydantic import Field

from schema.words import Word


class Confirmation(Word):
    """Launches in turns that are to confirm one suspected episode, or none, and why."""

    night: str
    episode: str
    """Key."""
    cell: str | None = None
    """Key of the cell that stands for all that the episode moved; None without launches."""
    builds: tuple[str, str] | None = None
    """Last good and tonight's, as they are asked for: `vllm==0.31.0`."""
    launches: int = Field(default=0, ge=0)
    """Of each build."""
    gpu_minutes: float = Field(default=0.0, ge=0)
    """What they are expected to take; nothing where an earlier episode asked for the same."""
    reason: str = Field(min_length=1)
