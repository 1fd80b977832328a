"""What every word of the vocabulary shares: frozen, strict, JSON in and out, a short key."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

KEY_LENGTH = 16
"""Hexadecimal digits of a key: 64 bits, collision-free for any number of trials a team can run."""


class Word(BaseModel):
    """A frozen value that refuses unknown keys. Two equal words are one thing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def digest(value: Any) -> str:
    """The key of any JSON-able value: SHA-256 of its canonical JSON, shortened."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
