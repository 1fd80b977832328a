"""Made-up nights whose truth is known."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from regressions.compare import compare, side
from regressions.policy import JUDGED, Policy, read_policy
from schema.judgements import Comparison

Shifts = dict[tuple[int, str], float]


@pytest.fixture(scope="session")
def policy() -> Policy:
    return read_policy()


@pytest.fixture
def sides(policy: Policy) -> Callable[..., Comparison]:
    """A comparison straight from two lists of values."""

    def build(
        baseline: Sequence[float],
        contender: Sequence[float],
        metric: str = "itl_p50",
        cell: str = "c" * 16,
    ) -> Comparison:
        return compare(
            night="2026-11-21",
            cell=cell,
            metric=metric,
            baseline=side(["old"], [f"{cell}b{at}" for at in range(len(baseline))], baseline),
            contender=side(["new"], [f"{cell}c{at}" for at in range(len(contender))], contender),
            policy=policy,
        )

    return build


@pytest.fixture
def night(sides: Callable[..., Comparison], policy: Policy) -> Callable[..., list[Comparison]]:
    """All judged metrics of some cells.

    `cv` is the spread of a median between launches; tails scatter three times as much, and half
    of every metric's variance is its trial's, shared by all metrics of the cell.
    """

    def build(
        random: np.random.Generator,
        *,
        cells: int = 4,
        trials: int = 5,
        cv: float = 0.01,
        shifts: Shifts | None = None,
    ) -> list[Comparison]:
        comparisons = []
        for cell in range(cells):
            shared = random.normal(size=2 * trials)
            for metric in JUDGED:
                spread = 0.0 if metric in policy.exact else cv * (3 if "99" in metric else 1)
                noise = (shared + random.normal(size=2 * trials)) * spread / 2**0.5
                noise[trials:] += np.log1p((shifts or {}).get((cell, metric), 0.0))
                values = (100 * np.exp(noise)).tolist()
                comparisons.append(
                    sides(values[:trials], values[trials:], metric, f"cell{cell}".ljust(16, "0"))
                )
        return comparisons

    return build
