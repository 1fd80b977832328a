"""Drawing a workload: which prompts, which lengths, when. Everything before the first request."""

import math
import random
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean

from schema.cells import Arrival, Lengths, Workload

MOST_IN_FLIGHT = 128
"""Width of an offline workload's warm-up: beyond it engines queue by themselves."""

FIRST_TOKEN = 10
"""Ids below are special tokens in the tokenizers of Llama and Mixtral."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One request before it is sent."""

    index: int
    scheduled_s: float
    """Seconds after the window begins; 0 in a closed loop, where the engine decides."""
    prompt: tuple[int, ...]
    output_tokens: int


def draw(workload: Workload, *, seed: int, vocabulary: int) -> tuple[Draft, ...]:
    """All requests of one measured window. The same seed gives the same requests everywhere."""
    lengths, prompts, arrivals = (random.Random(f"{seed}/{part}") for part in ("len", "ids", "at"))
    return tuple(
        Draft(
            index=index,
            scheduled_s=at,
            prompt=_prompt(prompts, _length(lengths, workload.input_tokens), vocabulary),
            output_tokens=_length(lengths, workload.output_tokens),
        )
        for index, at in enumerate(_arrivals(workload, arrivals))
    )


def warm_up(workload: Workload, *, seed: int, window: int, vocabulary: int) -> tuple[Draft, ...]:
    """Requests of the same shape from another stream; window w never repeats a prompt."""
    drafts = draw(
        workload.model_copy(update={"requests": warm_up_requests(workload)}),
        seed=warm_up_seed(seed, window),
        vocabulary=vocabulary,
    )
    return tuple(replace(draft, scheduled_s=0.0) for draft in drafts)


def warm_up_requests(workload: Workload) -> int:
    """At least 8, and as many as will be in flight: 8 where the engine's speed decides that."""
    everything = (
        min(workload.requests, MOST_IN_FLIGHT) if workload.arrival is Arrival.OFFLINE else 8
    )
    return max(8, workload.concurrency or everything)


def warm_up_seed(seed: int, window: int) -> int:
    """A seed that no measured window uses: they are small and not negative."""
    return -(1 + window) * 1_000_003 - seed


def _prompt(source: random.Random, length: int, vocabulary: int) -> tuple[int, ...]:
    return tuple(source.choices(range(FIRST_TOKEN, vocabulary), k=length))


def _length(source: random.Random, lengths: Lengths) -> int:
    """Log-normal with the asked mean: mu = ln(mean) - sigma^2 / 2."""
    if lengths.sigma == 0:
        return max(1, round(lengths.mean))
    mu = math.log(lengths.mean) - lengths.sigma**2 / 2
    return min(lengths.longest, max(1, round(source.lognormvariate(mu, lengths.sigma))))


def _arrivals(workload: Workload, source: random.Random) -> list[float]:
    """Poisson arrivals, drawn beforehand, on the condition that the last one comes when the rate
    says: else the throughput of a short window would be that of its draw."""
    if workload.arrival is not Arrival.OPEN_LOOP or workload.rate is None:
        return [0.0] * workload.requests
    gaps = [source.expovariate(1.0) for _ in range(workload.requests - 1)]
    mean = fmean(gaps) if gaps else 1.0
    return list(accumulate((gap / mean / workload.rate for gap in gaps), initial=0.0))
