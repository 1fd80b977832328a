"""Judgements: what a comparison showed and what is concluded from it."""

from enum import StrEnum

from pydantic import Field

from schema.words import Word, digest


class Verdict(StrEnum):
    """What is concluded about one metric of one cell."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    NO_CHANGE = "no change"
    INCONCLUSIVE = "inconclusive"


class Side(Word):
    """One side of a comparison: one value per trial, in the metric's base unit."""

    builds: tuple[str, ...]
    """Keys of the builds, most recent last; one unless the baseline is a window of nights."""
    trials: tuple[str, ...]
    """Keys of the trials, in the order of `values`."""
    values: tuple[float, ...]
    median: float | None = None
    """None when there are no values."""


class Warning(Word):
    """Something a reader must know before believing a comparison. Shown, never only logged."""

    code: str
    """Stable name such as `few-trials`, `host-changed`, `environment-changed`, `not-estimable`."""
    text: str


CONDITIONS = {"host-changed": "host", "environment-changed": "packages"}
"""By code of the warnings that concern all metrics of a cell alike: what was not the same."""


class Comparison(Word):
    """Baseline sample against contender sample for one metric of one cell."""

    night: str
    cell: str
    """Key of the cell."""
    metric: str
    baseline: Side
    contender: Side
    change: float | None = None
    """Relative Hodges-Lehmann shift: +0.05 says that the contender is 5 % higher."""
    interval: tuple[float, float] | None = None
    """Exact confidence interval of `change`."""
    confidence: float = Field(gt=0, lt=1)
    """What `interval` covers at least; exact intervals are steps, so often more was asked."""
    p: float | None = Field(default=None, gt=0, le=1)
    """Exact two-sided Mann-Whitney p."""
    least_p: float | None = Field(default=None, gt=0, le=1)
    """The least p that these sizes can reach."""
    p_adjusted: float | None = Field(default=None, gt=0, le=1)
    """Benjamini-Hochberg adjusted over the night's family."""
    family_size: int = Field(default=0, ge=0)
    warnings: tuple[Warning, ...] = ()

    @property
    def key(self) -> str:
        """Without the arms: a night keeps comparisons of one pair of arms only, that of its kind.
        What confirms a suspicion is judged with the episode and kept in its history."""
        sides = [self.baseline.builds, self.contender.builds]
        return digest([self.night, self.cell, self.metric, sides])


class Judgement(Word):
    """A comparison and the verdict the policy draws from it."""

    comparison: Comparison
    verdict: Verdict
    reason: str
    """One sentence with the figures that decided."""
    policy: str
    """Hash of the policy."""
