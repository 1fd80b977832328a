"""The peers' rules on nightly values, as their code states them; and ours.

Each takes series x nights of a metric where higher is better and tells for each night whether the
rule would speak on its morning: theirs of falls only, ours of both ways. Sources: PyTorch
test-infra `regression_utils.py`, SGLang `ci_performance_regression.py`, TensorRT-LLM
`perf_regression_utils.py`, rustc-perf `comparison.rs`, treeherder `perfalert/__init__.py`, the
documentation of Conbench and Bencher.
"""

from collections.abc import Callable

import numpy as np
from detecting.known_series import Matrix
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import t as student

from regressions.histories import histories
from regressions.policy import read_policy
from regressions.watch import Kind, Move, replay
from stats.rank_test import rank_test

Alarms = NDArray[np.bool_]
ALARMS = (Kind.STEP, Kind.DRIFT)
FIRST = 20
"""No rule speaks before so many nights."""


def windows(values: Matrix, length: int, back: int = 0) -> Matrix:
    """series x nights x length: the nights up to `back` nights ago, NaN where there are none."""
    padded = np.pad(values, ((0, 0), (length - 1 + back, 0)), constant_values=np.nan)
    return np.asarray(sliding_window_view(padded, length, axis=1)[:, : values.shape[1]])


def moves(trials: Matrix) -> list[Move]:
    """What the shipped policy shows; series x nights, or series x nights x trials."""
    table = trials if trials.ndim == 3 else trials[:, :, None]
    return replay(histories(table), read_policy().series)


def tailwatch(values: Matrix) -> Alarms:
    alarms = np.zeros(values.shape[:2], dtype=np.bool_)
    for move in moves(values):
        if move.kind in ALARMS:
            alarms[move.row, move.night] = True
    return alarms


def naive_mann_whitney(values: Matrix) -> Alarms:
    """Every night the last 3 against the 20 before, p < 0.05."""
    return _mann_whitney(values, 3, 20, 0.05, 0.0)


def guarded_mann_whitney(values: Matrix) -> Alarms:
    """The last 5 against the 20 before, p < 0.001 and 3 %."""
    return _mann_whitney(values, 5, 20, 0.001, 0.03)


def _mann_whitney(values: Matrix, m: int, n: int, alpha: float, least: float) -> Alarms:
    recent, before = windows(values, m), windows(values, n, m)
    losses = (recent[..., :, None] < before[..., None, :]).sum(axis=(2, 3))
    fall = 1 - np.median(recent, axis=2) / np.median(before, axis=2)
    return np.asarray((losses >= _critical(m, n, alpha)) & (fall >= least) & _known(before))


def _critical(m: int, n: int, alpha: float) -> int:
    """The least U whose two-sided exact p is below alpha."""
    for wins in range(m * n // 2, m * n + 1):
        full, rest = divmod(wins, n)
        recent = [n + 1.0] * full + ([rest + 0.5] if full < m else []) + [0.5] * (m - full - 1)
        if rank_test([float(at) for at in range(1, n + 1)], recent[:m]) < alpha:
            return wins
    return m * n + 1


def pytorch_hud(values: Matrix) -> Alarms:
    """20 % below the median of days -6 to -4, two days running."""
    base = np.median(windows(values, 3, 3), axis=2)
    bad = values < 0.8 * base
    return np.asarray(bad & np.roll(bad, 1, axis=1) & _known(windows(values, 3, 3)))


def sglang(values: Matrix) -> Alarms:
    """10 % below the mean of the ten nights before."""
    before = windows(values, 10, 1)
    return np.asarray(values < 0.9 * before.mean(axis=2))


def tensorrt_llm(values: Matrix) -> Alarms:
    """5 % below the 95th percentile of all trailing means of three, tonight's included."""
    smooth = windows(values, 3).mean(axis=2)
    best = np.full(values.shape, np.nan)
    for night in range(FIRST, values.shape[1]):
        best[:, night] = np.percentile(smooth[:, 2 : night + 1], 95, axis=1)
    return np.asarray(values < 0.95 * best)


def rustc(values: Matrix) -> Alarms:
    """A fall from the night before beyond Q3 + 3 IQR of the 30 changes before it."""
    change = np.diff(np.log(values), axis=1, prepend=np.nan)
    before = windows(np.abs(change), 30, 1)
    low, high = np.percentile(np.nan_to_num(before, nan=0.002), [25, 75], axis=2)
    return np.asarray(-change > high + 3 * (high - low))


def perfherder(values: Matrix) -> Alarms:
    """Weighted t of 12 nights against the 12 before them above 7, and 2 %: speaks 12 nights on."""
    weights = np.arange(1, 13, dtype=np.float64)
    after, before = windows(values, 12), windows(values, 12, 12)
    first, second = (
        np.average(side, axis=2, weights=own)
        for side, own in ((before, weights), (after, weights[::-1]))
    )
    spread = np.sqrt((before.var(axis=2, ddof=1) + after.var(axis=2, ddof=1)) / 12)
    return np.asarray((first - second > 7 * spread) & (second / first < 0.98))


def conbench(values: Matrix) -> Alarms:
    """Further than 5 standard deviations from all nights before, at most 100."""
    return _beyond(values, 100, lambda count: np.full(count.shape, 5.0))


def bencher(values: Matrix) -> Alarms:
    """Below Student's 0.99 prediction limit of the 64 nights before."""
    return _beyond(values, 64, lambda count: student.isf(0.01, np.maximum(count - 1, 1)))


def _beyond(values: Matrix, most: int, limit: Callable[[Matrix], Matrix]) -> Alarms:
    alarms = np.zeros(values.shape, dtype=np.bool_)
    for night in range(FIRST, values.shape[1]):
        before = values[:, max(0, night - most) : night]
        count = np.full(len(values), float(before.shape[1]))
        z = (before.mean(axis=1) - values[:, night]) / before.std(axis=1, ddof=1)
        alarms[:, night] = z > limit(count)
    return alarms


def _known(before: Matrix) -> Alarms:
    return np.asarray(~np.isnan(before).any(axis=2))


RULES: dict[str, Callable[[Matrix], Alarms]] = {
    "tailwatch": tailwatch,
    "naive Mann-Whitney, 3 v 20": naive_mann_whitney,
    "guarded Mann-Whitney, 5 v 20": guarded_mann_whitney,
    "PyTorch HUD": pytorch_hud,
    "SGLang": sglang,
    "TensorRT-LLM": tensorrt_llm,
    "rustc-perf": rustc,
    "Perfherder": perfherder,
    "Conbench": conbench,
    "Bencher": bencher,
}
