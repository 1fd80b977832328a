"""Drawing a workload: which prompts, which lengths, when. Everything before the first request."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from runners.arrivals import arrivals
from runners.errors import BadRequestFile
from runners.recorded.requests import choose
from runners.recorded.shape import Shape
from schema.arrivals import Arrival
from schema.cells import Workload
from schema.lengths import AnyLengths, Lengths, Uniform

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
    """All requests of one measured window. The same seed gives the same requests everywhere.

    Reads the workload's file if it has one; raises BadRequestFile when that cannot be used.
    """
    lengths, times = (random.Random(f"{seed}/{part}") for part in ("len", "at"))
    prompts = random.Random(f"{seed}/ids/{workload.name}")  # a launch serves several workloads
    shapes = _shapes(workload, lengths, vocabulary)
    openings = _openings(prompts, range(FIRST_TOKEN, vocabulary, 2), len(shapes))
    when = arrivals(workload, times, [shape.at_s for shape in shapes])
    drafts = tuple(
        Draft(
            index=index,
            scheduled_s=at,
            prompt=shape.prompt or _prompt(prompts, opening, shape.input_tokens, vocabulary),
            output_tokens=shape.output_tokens,
        )
        for index, (at, shape, opening) in enumerate(zip(when, shapes, openings, strict=True))
    )
    _unused_openings(drafts, vocabulary)  # a warm-up must be possible: told before engines start
    return drafts


def warm_up(
    workload: Workload, drafts: Sequence[Draft], *, seed: int, window: int, vocabulary: int
) -> tuple[Draft, ...]:
    """Requests as long as those that will be measured, of other tokens.

    No prompt begins with the token that a measured one begins with. Engines find prefixes by
    their first tokens (vLLM hashes blocks of 16 and more, each together with all before it;
    SGLang's tree compares token by token), so not even one token can come from their cache.
    """
    source = random.Random(f"{warm_up_seed(seed, window)}/warm-up")
    count = warm_up_requests(workload)
    openings = _openings(source, _unused_openings(drafts, vocabulary), count)
    return tuple(
        Draft(
            index=index,
            scheduled_s=0.0,
            prompt=_prompt(source, opening, len(like.prompt), vocabulary),
            output_tokens=like.output_tokens,
        )
        for index, (like, opening) in enumerate(
            zip(source.choices(drafts, k=count), openings, strict=True)
        )
    )


def warm_up_requests(workload: Workload) -> int:
    """At least 8, and as many as will be in flight: 8 where the engine's speed decides that."""
    everything = (
        min(workload.requests, MOST_IN_FLIGHT) if workload.arrival is Arrival.OFFLINE else 8
    )
    return max(8, workload.concurrency or everything)


def warm_up_seed(seed: int, window: int) -> int:
    """A seed that no measured window uses: they are small and not negative."""
    return -(1 + window) * 1_000_003 - seed


def _shapes(workload: Workload, source: random.Random, vocabulary: int) -> list[Shape]:
    if workload.file is not None:
        return choose(workload, workload.file, source, vocabulary)
    return [
        Shape(
            input_tokens=_length(source, workload.input_tokens),
            output_tokens=_length(source, workload.output_tokens),
        )
        for _ in range(workload.requests)
    ]


def _unused_openings(drafts: Sequence[Draft], vocabulary: int) -> list[int]:
    """Tokens with which no measured prompt begins: random ones begin with the others, by turns."""
    taken = {draft.prompt[0] for draft in drafts}
    free = [token for token in range(FIRST_TOKEN + 1, vocabulary, 2) if token not in taken]
    if not free:
        raise BadRequestFile("its prompts begin with every token that a warm-up could begin with")
    return free


def _openings(source: random.Random, tokens: Sequence[int], count: int) -> list[int]:
    """First tokens of prompts: none twice before each was used once, so few prompts share any."""
    rounds, rest = divmod(count, len(tokens))
    found = [token for _ in range(rounds) for token in source.sample(tokens, len(tokens))]
    return found + source.sample(tokens, rest)


def _prompt(source: random.Random, opening: int, length: int, vocabulary: int) -> tuple[int, ...]:
    return (opening, *source.choices(range(FIRST_TOKEN, vocabulary), k=length - 1))


def _length(source: random.Random, lengths: AnyLengths) -> int:
    """Uniform, or log-normal with the asked mean: mu = ln(mean) - sigma^2 / 2."""
    if isinstance(lengths, Uniform):
        return source.randint(lengths.shortest, lengths.longest)
    if not isinstance(lengths, Lengths) or lengths.sigma == 0:
        return max(1, round(lengths.mean))
    mu = math.log(lengths.mean) - lengths.sigma**2 / 2
    return min(lengths.longest, max(1, round(source.lognormvariate(mu, lengths.sigma))))
