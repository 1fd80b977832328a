"""Drawing a workload: which prompts, which lengths, when. Everything before the first request."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    times = _arrivals(workload, arrivals)
    return tuple(
        Draft(
            index=index,
            scheduled_s=next(times),
            prompt=_prompt(prompts, _length(lengths, workload.input_tokens), vocabulary),
            output_tokens=_length(lengths, workload.output_tokens),
        )
        for index in range(workload.requests)
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


def _arrivals(workload: Workload, source: random.Random) -> Iterator[float]:
    """Poisson arrivals: exponential gaps, drawn beforehand."""
    at = 0.0
    while True:
        yield at
        if workload.arrival is Arrival.OPEN_LOOP and workload.rate is not None:
            at += source.expovariate(workload.rate)
