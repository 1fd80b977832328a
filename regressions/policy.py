"""The policy: what it takes to call something a change."""

import os
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, field_validator, model_validator

from schema.documents import read_yaml
from schema.metrics import METRICS
from schema.spelling import did_you_mean
from schema.words import Word, digest
from stats.rank_test import trials_needed

DEFAULT_POLICY = Path(__file__).parents[1] / "policies" / "default.yaml"
SHADOW_POLICY = "TAILWATCH_SHADOW_POLICY"
"""Variable that names a second policy, which judges and is told to nobody."""

JUDGED = tuple(metric.name for metric in METRICS.values() if metric.judged)


def _judged(name: str) -> str:
    if name in JUDGED:
        return name
    if name in METRICS:
        raise ValueError("is kept and shown, but not judged; leave it out")
    raise ValueError(f"is not a metric{did_you_mean(name, JUDGED)}")


JudgedMetric = Annotated[str, AfterValidator(_judged)]
Share = Annotated[float, Field(gt=0, lt=1)]


class LastingRules(Word):
    """How a change is found that is too small for the nights of SeriesRules, but lasts."""

    windows: tuple[Annotated[int, Field(ge=14, multiple_of=7)], ...] = Field(min_length=1)
    """Nights since such a change, whole weeks; their scatter tells of the noise as well."""
    alpha: Share
    least_change: Share
    drift_caution: float = Field(ge=0)
    """All three as in SeriesRules."""


class SeriesRules(Word):
    """How a series is judged night by night, when only later nights can confirm."""

    alpha: Share
    """Two-sided p of a shift, its noise's spread and drift being estimated."""
    rank_alpha: Share
    """Two-sided exact Mann-Whitney p of the same nights."""
    least_change: Share
    """Relative change below which nothing is said."""
    windows: tuple[Annotated[int, Field(ge=2)], ...] = Field(min_length=1)
    """Nights since a change began that are looked at together, rising."""
    confirm_nights: int = Field(ge=1)
    """Nights that must follow the first night of a change."""
    confirm_trials: int = Field(ge=2)
    """Trials that all nights since the change must have together."""
    baseline_nights: int = Field(ge=10)
    """Nights of the segment before the change that it is set against, at most."""
    least_nights: int = Field(ge=5)
    """Nights, kept ones included, below which nothing is said."""
    settle_nights: int = Field(ge=1)
    """Within them a further move the same way, or the way back, belongs to the same episode."""
    drift_caution: float = Field(ge=0)
    """Standard errors by which the correlation of successive nights is taken above its estimate."""
    drift_nights: int = Field(ge=10)
    """First nights of a segment that later ones are set against to see what creeps."""
    lasting: LastingRules

    @model_validator(mode="after")
    def _windows_rise(self) -> "SeriesRules":
        every = [*self.windows, *self.lasting.windows]
        if every != sorted(set(every)):
            raise ValueError("windows must rise from each to the next, those of lasting last")
        return self

    @property
    def looks(self) -> tuple["Look", ...]:
        """Every window that is tried, shortest first."""
        return (
            *(Look(nights, self) for nights in self.windows),
            *(Look(nights, self.lasting) for nights in self.lasting.windows),
        )


class Look(NamedTuple):
    """One window and what is asked of it."""

    nights: int
    asks: SeriesRules | LastingRules
    """For its alpha, least change and caution."""

    @property
    def is_lasting(self) -> bool:
        return isinstance(self.asks, LastingRules)


class ConfirmRules(Word):
    """What a nightly may take to confirm its suspicions before it ends."""

    gpu_minutes: float = Field(ge=0)
    """In one night, over all suspicions: minutes of launches times their cards. 0 confirms none."""
    launches: int = Field(ge=2)
    """Of each build, at most; fewer where the change is large for its noise."""


class Policy(Word):
    """One reviewed set of thresholds. There are no defaults: a file says all of them."""

    alpha: Share
    """Two-sided p at most this for one metric alone."""
    q: Share
    """False discovery rate over a night."""
    confidence: Share
    """Of the intervals shown."""
    min_trials: int = Field(ge=2)
    """Valid trials a side below which nothing is concluded."""
    baseline_nights: int = Field(ge=1)
    """How many earlier nights a nightly is set against."""
    min_change: dict[JudgedMetric, Share]
    """Least relative change that matters, for every judged metric."""
    exact: tuple[JudgedMetric, ...]
    """Metrics without noise, where a repeated difference needs no test."""
    confirm: ConfirmRules
    """What confirming may take. No verdict follows from it, so it is not in the hash."""
    series: SeriesRules
    """Rules for `tailwatch backtest` and the history of a series."""

    @field_validator("min_change")
    @classmethod
    def _every_judged_metric_has_one(cls, changes: dict[str, float]) -> dict[str, float]:
        missing = [name for name in JUDGED if name not in changes]
        if missing:
            raise ValueError(f"says nothing about {', '.join(missing)}")
        return changes

    @model_validator(mode="after")
    def _confirming_can_decide(self) -> "Policy":
        least = trials_needed(self.alpha)
        if self.confirm.launches < least:
            raise ValueError(
                f"confirm: {self.confirm.launches} launches of each build cannot reach alpha "
                f"{self.alpha:g}; write at least {least}"
            )
        return self

    @property
    def key(self) -> str:
        """Hash of the rules: comments, order and what confirming may take do not change it."""
        rules = self.model_dump(mode="json", exclude={"confirm"})
        return digest(rules | {"exact": sorted(self.exact)})


def read_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """The policy in a file; raises schema.documents.BadDocument with every mistake in it."""
    return read_yaml(path, Policy)


def read_shadow_policy() -> Policy | None:
    """The policy in shadow, where one is named: a file of policies/, or any whole path.

    Raises schema.documents.BadDocument.
    """
    named = os.environ.get(SHADOW_POLICY)
    return read_policy(DEFAULT_POLICY.parent / named) if named else None
