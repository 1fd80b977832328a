"""Models: a checkpoint name and the shape that decides what it costs."""

from enum import StrEnum

from pydantic import Field, model_validator

from schema.words import Word


class Weights(StrEnum):
    """Where the numbers in the weights come from. Never mixed in one series."""

    REAL = "real"  # the checkpoint's own
    DUMMY = "dummy"  # the true shape, made-up values: speed is real, expert balance is not


class Model(Word):
    """A model by its checkpoint name, plus its shape. A dense model has one expert."""

    name: str
    weights: Weights
    layers: int = Field(gt=0)
    hidden: int = Field(gt=0)
    intermediate: int = Field(gt=0)
    """Width of one feed-forward block (of one expert in an MoE)."""
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    experts: int = Field(default=1, gt=0)
    active_experts: int = Field(default=1, gt=0)
    tied_embeddings: bool = False
    max_position: int = Field(gt=0)
    rope_theta: float = 10_000.0

    @model_validator(mode="after")
    def _shape_is_possible(self) -> "Model":
        if self.active_experts > self.experts:
            raise ValueError(f"active_experts {self.active_experts} exceeds experts {self.experts}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        return self

    @property
    def is_moe(self) -> bool:
        return self.experts > 1

    @property
    def short_name(self) -> str:
        """The checkpoint name without its organisation, for slugs and titles."""
        return self.name.rpartition("/")[2]

    @property
    def parameters(self) -> int:
        """All parameters: every expert sits in memory whether or not it is chosen."""
        return self._parameters(self.experts)

    @property
    def active_parameters(self) -> int:
        """Parameters that one token touches."""
        return self._parameters(self.active_experts)

    def _parameters(self, experts: int) -> int:
        """Count of a Llama or Mixtral decoder (Jiang et al. 2024, arXiv 2401.04088, table 1)."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        feed_forward = experts * 3 * self.hidden * self.intermediate
        router = self.hidden * self.experts if self.is_moe else 0
        layer = attention + feed_forward + router + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied_embeddings else 2)
        return self.layers * layer + embeddings + self.hidden
