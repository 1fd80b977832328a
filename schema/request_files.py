"""Files that say what is asked. A file is known by its content; where it lies is no part of it."""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field, field_validator, model_validator

from schema.words import Word


class DataFile(Word):
    """A file below a workloads folder."""

    path: str = Field(min_length=1)
    """Below one of the folders of `schema.data_files.folders`, with slashes. In no key."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the content."""

    @field_validator("path")
    @classmethod
    def _stays_below_the_folder(cls, path: str) -> str:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(f"{path} must lie below a workloads folder: no leading / and no ..")
        return path


class Holds(StrEnum):
    """What a request file has."""

    LENGTHS = "lengths"  # of prompt and answer, maybe with times: CSV or JSON lines
    CONVERSATIONS = "conversations"  # text, in the JSON of ShareGPT


CHAT_SHORTEST, CHAT_LONGEST_TOTAL = 4, 2048
"""Limits of vLLM's ShareGPT benchmark (vllm/benchmarks/datasets, is_valid_sequence); its third,
1024 tokens a prompt, is `input_tokens: {longest: 1024}`."""


class RequestFile(DataFile):
    """A file that a workload takes its requests from, and which of them it leaves out."""

    holds: Holds = Holds.LENGTHS
    tokenizer: DataFile | None = None
    """Of the model that is served; conversations only. A matrix names it at the model."""
    shortest: int = Field(default=1, gt=0)
    """Requests with a shorter prompt or answer are left out, tokens."""
    longest_total: int | None = Field(default=None, gt=0)
    """Requests whose prompt and answer are longer together are left out, tokens."""

    @model_validator(mode="before")
    @classmethod
    def _usual_limits_of_conversations(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("holds") == Holds.CONVERSATIONS:
            usual = {"shortest": CHAT_SHORTEST, "longest_total": CHAT_LONGEST_TOTAL}
            return usual | value
        return value

    def keeps(self, prompt: int, answer: int) -> bool:
        """Whether a request of these lengths is asked, tokens."""
        total = self.longest_total
        return min(prompt, answer) >= self.shortest and (total is None or prompt + answer <= total)
