"""Selections: how often each expert of each layer was chosen for a token."""

from statistics import fmean

from pydantic import Field, field_validator

from schema.words import Word


class Selections(Word):
    """What the routers of a model chose while some requests were answered."""

    requests: int = Field(gt=0)
    tokens: int = Field(gt=0)
    """That went through the layers: every prompt and answer token but the last of each answer."""
    counts: tuple[tuple[int, ...], ...] = Field(min_length=1)
    """(layers, experts): for how many tokens the layer chose the expert."""

    @field_validator("counts")
    @classmethod
    def _layers_are_alike(cls, counts: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        if any(count < 0 for layer in counts for count in layer):
            raise ValueError("a count is below 0")
        if len({len(layer) for layer in counts}) > 1 or not counts[0]:
            raise ValueError("layers differ in their number of experts")
        if len({sum(layer) for layer in counts}) > 1 or not sum(counts[0]):
            raise ValueError("layers differ in their number of selections, or have none")
        return counts

    @property
    def layers(self) -> int:
        return len(self.counts)

    @property
    def experts(self) -> int:
        return len(self.counts[0])

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """(layers, experts): selections over those of an even choice, 1 is even."""
        even = sum(self.counts[0]) / self.experts
        return tuple(tuple(count / even for count in layer) for layer in self.counts)

    @property
    def balances(self) -> tuple[float, ...]:
        """Of each layer: mean over largest number of selections of an expert, 1 / experts to 1.

        vLLM calls this the balancedness of ranks (`avg_tokens / max_tokens`, in its log of expert
        parallel load balancing), SGLang that of experts (`eplb_balancedness`): the part of the
        time that experts work if each had a device and all waited for the busiest one.
        """
        return tuple(1 / max(layer) for layer in self.shares)

    @property
    def balance(self) -> float:
        """The metric `expert_balance`: mean of `balances` over the layers."""
        return fmean(self.balances)
