"""Figures of the table on changes that are found when they have lasted, and dated."""

from collections.abc import Sequence

import numpy as np
from detecting import known_series as known
from detecting.known_series import Matrix
from detecting.rows import ABSENT, SEEDS, Row, Tool, alarms, worse
from numpy.lib.stride_tricks import sliding_window_view

from stats.rank_test import rank_test

NEAR = 3
"""Nights by which a change may be dated wrongly."""
TARGET = f"recall 0.75, dated within {NEAR} nights, at 0.1 false alarms per 100 nights"
ASKED = 14
"""Nights of each side of the Mann-Whitney rule, p < 0.001; nothing is said before them."""
Dated = list[list[int]]


def real_noise_halfway(tool: Tool, most_cv: float) -> Row:
    """-5 % (latency: +5 %) from the middle of permuted real histories on."""
    what = (
        f"5 % worse from the middle on, ATOM's noise, nights permuted, CV up to {_percent(most_cv)}"
    )
    noise = known.atom_noise()
    if noise is None:
        return Row(what=what, target=TARGET, reached=ABSENT, is_met=None)
    own = [(metric, values) for metric, values in noise if np.std(np.log(values)) <= most_cv]
    quiet, changed = [], []
    for seed in SEEDS:
        draw = np.random.default_rng(7_510 + seed)
        quiet.append([draw.permutation(values) for _, values in own])
        pairs = zip(own, quiet[-1], strict=True)
        changed.append([worse(metric, v, len(v) // 2) for (metric, _), v in pairs])
    return _row(f"{what} ({len(own)} series)", tool, quiet, changed)


def drawn_halfway(tool: Tool, cv: float, before: int, after: int, tails: str) -> Row:
    """-5 % after `before` nights of one trial; tails: how the noise is drawn."""
    quiet, changed = [], []
    for seed in SEEDS:
        draw = np.random.default_rng(7_650 + seed)
        size = (200, before + after)
        noise = draw.standard_normal(size) if tails == "Gaussian" else _heavy(draw, size)
        quiet.append(list(100 * np.exp(cv * noise)))
        changed.append([worse(known.RATES[0], values, before) for values in quiet[-1]])
    what = f"-5 % after {before} nights of {tails} noise of CV {_percent(cv)}, {after} nights more"
    return _row(what, tool, quiet, changed, before)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _heavy(draw: np.random.Generator, size: tuple[int, int]) -> Matrix:
    """Student's t of 4 degrees of freedom, scaled to variance 1."""
    return np.asarray(draw.standard_t(4, size) / 2**0.5)


def _row(
    what: str,
    tool: Tool,
    quiet: Sequence[Sequence[Matrix]],
    changed: Sequence[Sequence[Matrix]],
    before: int | None = None,
) -> Row:
    """Each by seed; before: where the change is, if not halfway."""
    ours = [_scored(_ours(q), _ours(c), c, before) for q, c in zip(quiet, changed, strict=True)]
    recall, rate = (float(np.mean(own)) for own in zip(*ours, strict=True))
    ranks = _scored(_rank_rule(quiet[0]), _rank_rule(changed[0]), changed[0], before)
    others = f"Mann-Whitney, {ASKED} v {ASKED} {ranks[0]:.2f} at {ranks[1]:.2f}"
    asked = [tool("otava", [own.tolist() for own in one]) for one in (quiet[0], changed[0])]
    if asked[0] is not None and asked[1] is not None:
        otava = _scored(asked[0][0], asked[1][0], changed[0], before)
        others = f"Otava {otava[0]:.2f} at {otava[1]:.2f}; {others}"
    return Row(
        what=what, target=TARGET, others=others, is_met=recall >= 0.75 and rate <= 0.1,
        reached=f"recall {recall:.2f} ({min(ours)[0]:.2f} to {max(ours)[0]:.2f}) at {rate:.2f}",
    )  # fmt: skip


def _scored(
    quiet: Dated, changed: Dated, series: Sequence[Matrix], before: int | None
) -> tuple[float, float]:
    """(recall, false alarms per 100 nights of the series that nothing happened to)."""
    near = [
        any(abs(at - (before or len(values) // 2)) <= NEAR for at in own)
        for own, values in zip(changed, series, strict=True)
    ]
    nights = sum(len(values) - ASKED for values in series)
    return float(np.mean(near)), 100 * sum(map(len, quiet)) / nights


def _ours(series: Sequence[Matrix]) -> Dated:
    """Where the alarms of each series say that its changes began."""
    return [[move.began for move in own] for own in alarms(series)]


def _rank_rule(series: Sequence[Matrix]) -> Dated:
    """One alarm a run of nights on which the rule speaks, dated where it is surest."""
    return [_surest_of_runs(values) for values in series]


def _surest_of_runs(values: Matrix) -> list[int]:
    if len(values) < 2 * ASKED:
        return []
    pairs = sliding_window_view(values, 2 * ASKED)
    p = np.array([rank_test(own[:ASKED].tolist(), own[ASKED:].tolist()) for own in pairs])
    speaks = np.flatnonzero(p < 0.001)
    runs = np.split(speaks, np.flatnonzero(np.diff(speaks) > 1) + 1) if speaks.size else []
    return [int(own[p[own].argmin()]) + ASKED for own in runs]
