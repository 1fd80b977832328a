"""Lengths: how long prompts or answers are, in tokens."""

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from schema.words import Word


class Lengths(Word):
    """Log-normal around a mean, or all alike."""

    mean: float = Field(gt=0)
    """Mean of the distribution, tokens."""
    sigma: float = Field(default=0.0, ge=0)
    """Spread of the logarithm (log-normal); 0 makes every length equal to the mean."""
    longest: int = Field(gt=0)
    """Lengths are clipped to 1..longest, tokens."""

    @model_validator(mode="after")
    def _mean_is_reachable(self) -> "Lengths":
        if self.mean > self.longest:
            raise ValueError(f"mean {self.mean} exceeds longest {self.longest}")
        return self


class Uniform(Word):
    """Every length from `shortest` to `longest`, both included, is as likely."""

    shortest: int = Field(gt=0)
    longest: int = Field(gt=0)

    @model_validator(mode="after")
    def _is_a_range(self) -> "Uniform":
        if self.shortest > self.longest:
            raise ValueError(f"shortest {self.shortest} exceeds longest {self.longest}")
        return self

    @property
    def mean(self) -> float:
        return (self.shortest + self.longest) / 2


class Recorded(Word):
    """As the workload's file has them. A request with a longer one is left out."""

    longest: int = Field(gt=0)

    @property
    def mean(self) -> float:
        """At most this: the true one is known only where the file is read."""
        return float(self.longest)


def _written_out(value: Any) -> Any:
    """A bare number means that every length is this one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"mean": value, "longest": value}
    return value


def _kind(value: Any) -> str:
    """A tag in brackets, which messages leave out of the place."""
    names = value if isinstance(value, dict) else type(value).model_fields
    if "shortest" in names:
        return "[uniform]"
    return "[recorded]" if set(names) == {"longest"} else "[log-normal]"


AnyLengths: TypeAlias = Annotated[
    Annotated[Lengths, Tag("[log-normal]")]
    | Annotated[Uniform, Tag("[uniform]")]
    | Annotated[Recorded, Tag("[recorded]")],
    Discriminator(lambda value: _kind(value) if isinstance(value, dict | Word) else "[log-normal]"),
    BeforeValidator(_written_out),
]
"""What `input_tokens` and `output_tokens` may be."""
