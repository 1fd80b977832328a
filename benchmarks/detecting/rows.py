"""The figures of the table, each from one function: what was reached, and by whom."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from detecting import known_series as known
from detecting.ceilings import lasting, oracle_recall
from detecting.known_series import HISTORY, WATCHED, Labelled, Matrix
from detecting.rules import ALARMS, RULES, moves, tailwatch

from regressions.watch import Move
from stats.noise import location, residual_noise
from stats.power import trials_for
from stats.rank_test import rank_test
from stats.shift import hodges_lehmann
from stats.tail import tail_comparison

Tool = Callable[[str, Sequence[Sequence[float]]], tuple[list[list[int]], float] | None]
SEEDS = range(5)
MARGIN = 5
HISTORY_RATE, HEALTHY_RATE = 0.001, 0.0005 / WATCHED
"""False alarms a night that a history may have, and that the first row allows."""
SCREEN, CONFIRM_ALPHA = 2.5, 0.001
CONFIRM_TRIALS = trials_for(change=2.5, noise=1.0, alpha=CONFIRM_ALPHA, chance=0.9)
"""Declared beforehand, from the power table: 2.5 standard deviations of a trial in 90 %."""
MINUTES = 6.0
"""GPU-minutes of one trial: start, warm-up and a minute or two of load."""


@dataclass(frozen=True, kw_only=True)
class Row:
    what: str
    target: str
    reached: str
    is_met: bool | None
    """None where the data are absent or nothing was promised."""
    others: str = ""


ABSENT = "absent: the file is not on this machine"


def percents(shares: Sequence[float]) -> str:
    """Mean and spread over the seeds."""
    shown = [100 * share for share in shares]
    return f"{np.mean(shown):.2f} % ({min(shown):.2f} to {max(shown):.2f})"


def false_alarms(drift: float, cvs: Sequence[float], target: float) -> Row:
    shares: dict[str, list[float]] = {name: [] for name in RULES}
    for cv in cvs:
        for seed in SEEDS:
            values = known.healthy(800, HISTORY + WATCHED, cv=cv, seed=7_000 + seed, drift=drift)
            for name, rule in RULES.items():
                shares[name].append(float(rule(values)[:, HISTORY:].any(axis=1).mean()))
    ours = shares.pop("tailwatch")
    noise = f"AR({drift:g}) host drift" if drift else "independent noise"
    spans = ", ".join(f"{100 * cv:g}" for cv in cvs)
    return Row(
        what=f"800 healthy series x 30 nights, {noise}, CV {spans} %, {len(SEEDS)} seeds each",
        target=f"at most {100 * target:g} % of series",
        reached=percents(ours),
        is_met=float(np.mean(ours)) <= target,
        others="; ".join(f"{name} {100 * np.mean(own):.1f} %" for name, own in shares.items()),
    )


def otava_false_alarms(tool: Tool) -> Row:
    texts = []
    for drift in (0.0, 0.6):
        values = known.healthy(200, HISTORY + WATCHED, cv=0.02, seed=7_100, drift=drift)
        found = tool("otava", values.tolist())
        if found is None:
            return Row(what="the same, Otava", target="", reached="Otava is absent", is_met=None)
        share = np.mean([any(at >= HISTORY for at in own) for own in found[0]])
        texts.append(f"AR({drift:g}) {100 * share:.1f} %")
    return Row(
        what="the same for Otava (p 0.001), 200 series, any change point in the 30 nights",
        target="", reached=", ".join(texts), is_met=None,
    )  # fmt: skip


def confirmed_step(change: float, cv: float, target: float) -> Row:
    """Screen three trials a night; confirm at once by interleaved trials on the same host."""
    shares, asked, false = [], [], []
    for seed in SEEDS:
        trials = known.trials(400, HISTORY + 2, 3, cv=cv, seed=7_200 + seed)
        trials[:, HISTORY:] *= 1 + change
        found, _ = _confirmed(trials, [HISTORY, HISTORY + 1], change, cv, seed)
        shares.append(found)
        healthy = known.trials(400, HISTORY + WATCHED, 3, cv=cv, seed=7_300 + seed)
        wrong, runs = _confirmed(healthy, range(HISTORY, HISTORY + WATCHED), 0.0, cv, seed)
        asked.append(runs * 2 * CONFIRM_TRIALS * MINUTES)
        false.append(wrong)
    alone = _history_only(change, cv)
    return Row(
        what=f"{100 * change:.0f} % at CV {100 * cv:g} %, 3 trials a night, within 2 nights, "
        f"confirmed by {CONFIRM_TRIALS} v {CONFIRM_TRIALS} interleaved trials",
        target=f"{100 * target:g} %",
        reached=f"{percents(shares)}; {np.mean(asked):.0f} GPU-minutes per series and month, "
        f"{percents(false)} of healthy series confirmed in 30 nights",
        is_met=float(np.mean(shares)) >= target,
        others=f"from history alone {alone}",
    )


def _confirmed(
    trials: Matrix, nights: Sequence[int], change: float, cv: float, seed: int
) -> tuple[float, float]:
    """Share of series confirmed, and confirmations asked for per series."""
    draw = np.random.default_rng(7_400 + seed)
    values = np.log(trials).mean(axis=2)
    found, asked = np.zeros(len(values), dtype=bool), 0
    for night in nights:
        before = values[:, :HISTORY]
        middle, _ = location(before)
        noise = residual_noise(before - middle[:, None], 1e-9, 0.0)
        for row in np.flatnonzero(
            ~found & (np.abs(values[:, night] - middle) > SCREEN * noise.sigma)
        ):
            asked += 1
            first = draw.normal(0, cv, CONFIRM_TRIALS).tolist()
            second = draw.normal(np.log1p(change), cv, CONFIRM_TRIALS).tolist()
            shift = hodges_lehmann(first, second, confidence=0.95).estimate
            found[row] = rank_test(first, second) <= CONFIRM_ALPHA and abs(shift) >= 0.01
    return float(found.mean()), asked / len(values)


def _history_only(change: float, cv: float) -> str:
    shares = []
    for seed in SEEDS:
        trials = known.trials(400, HISTORY + 2, 3, cv=cv, seed=7_200 + seed)
        trials[:, HISTORY:] *= 1 + change
        shares.append(float(tailwatch(trials)[:, HISTORY:].any(axis=1).mean()))
    return percents(shares)


def real_noise(tool: Tool, most_cv: float) -> Row:
    """-5 % (latency: +5 %) over the last three nights of permuted real histories."""
    what = f"5 % worse in ATOM's noise, nights permuted, series of CV up to {100 * most_cv:g} %"
    noise = known.atom_noise()
    if noise is None:
        return Row(what=what, target="0.75", reached=ABSENT, is_met=None)
    recalls, rates, others = [], [], ""
    for seed in SEEDS:
        draw = np.random.default_rng(7_500 + seed)
        own = [(m, draw.permutation(v)) for m, v in noise if np.std(np.log(v)) <= most_cv]
        changed = [worse(metric, values, len(values) - 3) for metric, values in own]
        found = _alarms(changed)
        recalls.append(
            np.mean(
                [any(at >= len(v) - 3 for at in f) for f, v in zip(found, changed, strict=True)]
            )
        )
        quiet = sum(map(len, _alarms([values for _, values in own])))
        rates.append(100 * quiet / sum(len(values) - 14 for _, values in own))
        if seed == 0:
            others = _otava_on(tool, changed)
    return Row(
        what=f"{what} ({len(own)} series)",
        target="recall 0.75 within 3 nights at 0.1 false alarms per 100 nights",
        reached=f"recall {np.mean(recalls):.2f} ({min(recalls):.2f} to {max(recalls):.2f}) at "
        f"{np.mean(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})",
        is_met=bool(np.mean(recalls) >= 0.75 and np.mean(rates) <= 0.1),
        others=f"{others}; {_ceiling([values for _, values in own])}",
    )


def _ceiling(series: Sequence[Matrix]) -> str:
    logs = [np.log(values) for values in series]
    loose, strict = oracle_recall(logs, float(np.log(0.95)), (HISTORY_RATE, HEALTHY_RATE))
    return (
        f"ceiling, an oracle that knows level and spread: {loose:.2f} at 0.1, "
        f"{strict:.2f} at the {100 * HEALTHY_RATE:.4f} of the first row"
    )


def worse(metric: str, values: Matrix, at: int) -> Matrix:
    """5 % worse from a night on: a latency rises, the rest falls."""
    changed = values.copy()
    changed[at:] *= 1.05 if metric in known.LATENCIES else 0.95
    return changed


def _alarms(series: Sequence[Matrix]) -> list[list[int]]:
    """Nights of the alarms of each."""
    return [[move.night for move in own] for own in alarms(series)]


def alarms(series: Sequence[Matrix]) -> list[list[Move]]:
    """Those of each series, whatever their lengths."""
    table = np.full((len(series), max(map(len, series))), np.nan)
    for row, values in enumerate(series):
        table[row, : len(values)] = values
    shown = [move for move in moves(table) if move.kind in ALARMS]
    return [[move for move in shown if move.row == row] for row in range(len(series))]


def _otava_on(tool: Tool, changed: Sequence[Matrix]) -> str:
    found = tool("otava", [values.tolist() for values in changed])
    if found is None:
        return "Otava is absent"
    pairs = list(zip(found[0], changed, strict=True))
    recall = np.mean([any(at >= len(v) - 4 for at in own) for own, v in pairs])
    false = sum(at < len(v) - 4 for own, v in pairs for at in own)
    return f"Otava {recall:.2f} at {100 * false / sum(len(v) - 17 for v in changed):.2f}"


def several_trials(cv: float, count: int) -> Row:
    """What history alone can do where a night has several trials."""
    recalls, rates = [], []
    for seed in SEEDS:
        trials = known.trials(800, HISTORY + 3, count, cv=cv, seed=7_600 + seed)
        trials[:, HISTORY:] *= 0.95
        recalls.append(float(tailwatch(trials)[:, HISTORY:].any(axis=1).mean()))
        healthy = known.trials(800, HISTORY + WATCHED, count, cv=cv, seed=7_700 + seed)
        rates.append(100 * float(tailwatch(healthy)[:, HISTORY:].mean()))
    return Row(
        what=f"-5 % in Gaussian noise of CV {100 * cv:g} %, {count} trials a night, history only",
        target="", is_met=None,
        reached=f"recall {np.mean(recalls):.2f} within 3 nights at {np.mean(rates):.3f} false "
        "alarms per 100 nights",
    )  # fmt: skip


def labelled_by_maintainers(tool: Tool) -> Row:
    what = f"perfherder_4series: 8 labels, within {MARGIN} points"
    series = known.perfherder()
    if series is None:
        return Row(what=what, target="F1 0.92", reached=ABSENT, is_met=None)
    found = [_began(one) for one in series]
    score = _f1(found, series)
    others = [f"{name} {_f1(theirs, series):.2f}" for name, theirs in _tools(tool, series)]
    return Row(
        what=what, target="F1 0.92", is_met=score >= 0.92,
        reached=f"{score:.2f}: {_beside_labels(found, series)}",
        others="; ".join(others),
    )  # fmt: skip


def _beside_labels(found: Sequence[Sequence[int]], series: Sequence[Labelled]) -> str:
    """How many labels were found, what else was, and how far that may be right."""
    labels = sum(len(ats) for one in series for ats in one.changes.values())
    right, beside, lasted = 0, 0, 0
    for own, one in zip(found, series, strict=True):
        true = {at for ats in one.changes.values() for at in ats}
        near = {at for at in own if any(abs(at - label) <= MARGIN for label in true)}
        right += len(_matched(true, set(own)))
        beside += len(set(own) - near)
        lasted += sum(lasting(one, at) for at in set(own) - near)
    best = 2 * labels / (2 * labels + lasted)
    return (
        f"{right} of {labels} labels, {beside} changes else, of which {lasted} moved the medians "
        f"of 50 points by 3 % or more. Who tells those and all labels has {best:.2f}"
    )


def _began(one: Labelled) -> list[int]:
    """Indices of the values, missing ones counted, at which a change is dated."""
    at = np.flatnonzero(~np.isnan(one.values))
    return [int(at[m.began]) for m in moves(one.values[at][None, :]) if m.kind in ALARMS]


def _tools(tool: Tool, series: Sequence[Labelled]) -> Iterator[tuple[str, list[list[int]]]]:
    known_only = [one.values[~np.isnan(one.values)].tolist() for one in series]
    for name in ("otava", "ruptures"):
        found = tool(name, known_only)
        if found is not None:
            yield name, found[0]


def _f1(found: Sequence[Sequence[int]], series: Sequence[Labelled]) -> float:
    right = said = true = 0
    for own, one in zip(found, series, strict=True):
        labels = {at for ats in one.changes.values() for at in ats}
        right += len(_matched(labels, set(own)))
        said, true = said + len(own), true + len(labels)
    return 2 * right / (said + true)


def _matched(labels: set[int], found: set[int]) -> set[int]:
    """Labels that a finding lies near; each finding counts once, for the nearest first."""
    left, matched = set(found), set()
    for label in sorted(labels):
        near = [at for at in left if abs(at - label) <= MARGIN]
        if near:
            left.remove(min(near, key=lambda at: abs(at - label)))
            matched.add(label)
    return matched


def annotated_by_five(tool: Tool) -> Row:
    """F1 of G. J. J. van den Burg and C. K. I. Williams (arXiv 2003.06222), section 4.2."""
    what = f"tcpd_16series, their F1, margin {MARGIN}"
    series = known.tcpd()
    if series is None:
        return Row(what=what, target="above 0.75", reached=ABSENT, is_met=None)
    score = np.mean([_covered(_began(one), one) for one in series])
    silent = np.mean([_covered([], one) for one in series])
    others = [f"saying nothing {silent:.2f}"]
    for name, found in _tools(tool, series):
        scores = [_covered(own, one) for own, one in zip(found, series, strict=True)]
        others.append(f"{name} {np.mean(scores):.2f}")
    return Row(
        what=what, target="above 0.75", reached=f"{score:.2f}", is_met=bool(score > 0.75),
        others="; ".join(others),
    )  # fmt: skip


def _covered(found: Sequence[int], one: Labelled) -> float:
    said = {0, *found}
    annotators = [{0, *ats} for ats in one.changes.values()]
    precision = len(_matched(set().union(*annotators), said)) / len(said)
    recall = np.mean([len(_matched(own, said)) / len(own) for own in annotators])
    return float(2 * precision * recall / (precision + recall))


def slowed_requests() -> tuple[Row, Row]:
    what = "delag_eshopper, n 200, alpha 0.01: tail test, 20 % of requests slowed"
    scenarios = known.eshopper()
    if scenarios is None:
        row = Row(what=what, target="power 0.98", reached=ABSENT, is_met=None)
        return row, Row(what="the same, none slowed", target="0.01", reached=ABSENT, is_met=None)
    draw, seen = np.random.default_rng(7_800), {"tail": [0, 0], "rank": [0, 0]}
    for normal, slow in scenarios:
        base, same, other = (draw.choice(normal, 200, replace=False) for _ in range(3))
        mixed = np.r_[other[:160], draw.choice(slow, 40, replace=False)]
        for at, contender in enumerate((mixed, same)):
            tail = tail_comparison([base], [contender], 90)
            seen["tail"][at] += tail is not None and tail.p <= 0.01
            seen["rank"][at] += rank_test(base.tolist(), contender.tolist()) <= 0.01
    power, false = (seen["tail"][at] / len(scenarios) for at in (0, 1))
    rank = [seen["rank"][at] / len(scenarios) for at in (0, 1)]
    return (
        Row(what=f"{what} ({len(scenarios)} scenarios)", target="power 0.98", is_met=power >= 0.98,
            reached=f"{power:.3f}", others=f"Mann-Whitney {rank[0]:.3f}"),
        Row(what="the same, none slowed", target="at most 0.01", is_met=false <= 0.01,
            reached=f"{false:.4f}", others=f"Mann-Whitney {rank[1]:.4f}"),
    )  # fmt: skip


def repetitions() -> Row:
    what = "Go: nights of one toolchain, flags from repetitions alone"
    table = known.go_repetitions()
    if table is None:
        return Row(what=what, target="0", reached=ABSENT, is_met=None)
    nights = sum(move.kind in ALARMS for move in moves(table))
    single = table.reshape(-1, table.shape[2])
    inside = sum(move.kind in ALARMS for move in moves(single))
    pairs = [
        rank_test(own[:, :12].ravel()[~np.isnan(own[:, :12].ravel())].tolist()[:12],
                  own[:, 12:24].ravel()[~np.isnan(own[:, 12:24].ravel())].tolist()[:12]) < 0.01
        for benchmark in table for own in [benchmark[None, 0], benchmark[None, 1]]
    ]  # fmt: skip
    return Row(
        what=f"{what} ({table.shape[0]} benchmarks x {table.shape[1]} nights of 25 repetitions)",
        target="0", reached=str(nights), is_met=nights == 0,
        others=f"Mann-Whitney of 12 v 12 repetitions of a night, p < 0.01: "
        f"{100 * np.mean(pairs):.1f} % of pairs; tailwatch told that the repetitions of a night "
        f"were 25 nights: {inside} of {len(single)} series",
    )  # fmt: skip


def dip_and_collapse(tool: Tool) -> Row:
    values = known.healthy(200, 70, cv=0.01, seed=7_900)
    values[:, 50] *= 0.75
    values[:, 60:] *= 0.75
    shown = moves(values)
    dips = {m.row for m in shown if m.kind == "transient" and m.began == 50}
    falls = {m.row for m in shown if m.kind in ALARMS and 60 <= m.night <= 62}
    wrong = sum(m.kind in ALARMS and m.night < 60 for m in shown)
    found = tool("otava", values[:, :63].tolist())
    share = found and np.mean([any(58 <= at <= 62 for at in own) for own in found[0]])
    return Row(
        what="a dip of one night, ten nights later a collapse of 25 % (200 series, CV 1 %)",
        target="dip transient, collapse flagged by its third night",
        reached=f"{len(dips) / 2:g} % transient, {len(falls) / 2:g} % flagged, {wrong} alarms else",
        is_met=len(dips) == len(falls) == 200,
        others="Otava is absent" if share is None else f"Otava finds {100 * share:g} %",
    )


def trade_off() -> dict[str, list[list[float | None]]]:
    """[false alarms %, with drift %, median nights to find -5 %] of each rule on the means of
    three trials of CV 2 % a night."""
    cv = 0.02 / 3**0.5
    quiet, drifting = (
        known.healthy(800, HISTORY + WATCHED, cv=cv, seed=8_100, drift=d) for d in (0.0, 0.6)
    )
    step = known.healthy(800, HISTORY + 14, cv=cv, seed=8_200)
    step[:, HISTORY:] *= 0.95
    return {
        name: [
            [
                100 * float(rule(quiet)[:, HISTORY:].any(axis=1).mean()),
                100 * float(rule(drifting)[:, HISTORY:].any(axis=1).mean()),
                _median_delay(rule(step)[:, HISTORY:]),
            ]
        ]
        for name, rule in RULES.items()
    }


def _median_delay(alarms: np.ndarray) -> float | None:
    if alarms.any(axis=1).mean() < 0.5:
        return None
    first = np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, np.inf)
    return float(np.median(first))
