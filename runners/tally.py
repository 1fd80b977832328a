"""Counting which experts were chosen. Pure."""

from runners.engines.experts import BadExperts, Experts
from schema.models import Model
from schema.selections import Selections


class Tally:
    """Grows answer by answer."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.requests = self.tokens = self.repeats = 0
        """`repeats`: how often a layer chose one expert twice for a token, which no router does."""
        self._counts = [[0] * model.experts for _ in range(model.layers)]

    def add(self, experts: Experts, tokens: int) -> None:
        """Those of one answer that has `tokens` routed tokens; raises BadExperts."""
        layers, each = self.model.layers, self.model.active_experts
        due = (tokens, layers, each)
        chosen = experts.chosen
        if experts.shape not in (None, due) or len(chosen) != tokens * layers * each:
            told = experts.shape or f"{len(chosen)} numbers"
            raise BadExperts(f"experts of (tokens, layers, each) {due} are due, not {told}")
        if max(chosen) >= self.model.experts:
            raise BadExperts(f"expert {max(chosen)} of {self.model.experts}, counted from 0")
        for layer, counts in enumerate(self._counts):
            slots = [chosen[layer * each + slot :: layers * each] for slot in range(each)]
            for slot in slots:
                for expert in slot:
                    counts[expert] += 1
            self.repeats += sum(len(set(row)) < each for row in zip(*slots, strict=True))
        self.requests += 1
        self.tokens += tokens

    @property
    def repeated_share(self) -> float:
        """Of all choices for a token in a layer, those with a repeated expert."""
        return self.repeats / (self.tokens * self.model.layers)

    @property
    def selections(self) -> Selections:
        counts = tuple(map(tuple, self._counts))
        return Selections(requests=self.requests, tokens=self.tokens, counts=counts)
