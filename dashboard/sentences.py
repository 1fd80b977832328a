"""What the pages say in words. Pure."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from dashboard.units import (
    MINUS,
    NONE,
    duration,
    interval,
    pair,
    percent,
    probability,
    quantity,
)
from regressions.sentences import counted, size
from schema.cells import Cell
from schema.judgements import Comparison, Judgement, Verdict
from schema.metrics import METRICS
from schema.nights import Night, NightKind
from schema.stalls import Stall
from schema.store.trials import TrialFacts, TrialSummary
from schema.store.values import Value
from schema.trials import Telemetry, TrialState
from stats.effect import cliffs_delta
from stats.sketch import ACCURACY

NO_NIGHTS = (
    "No night is recorded yet. Run `make demo` to measure two builds of vLLM on this machine, "
    "or start the DAG `nightly`; this page shows the night as soon as its plan is made."
)
NO_EPISODES = (
    "No episode was ever opened: no judged night has found anything that moved. The first night "
    "that does opens one for each cause."
)
HOW_TO_READ = """
- **A point is a trial**: one execution of the cell on a fresh engine launch. Requests of one trial
  share a server, so they count as one observation, not as hundreds.
- **Change** is the Hodges-Lehmann shift relative to the baseline: the median of all differences
  between a contender trial and a baseline trial. Its **interval** is exact and assumes no shape.
- **p** is the exact two-sided Mann-Whitney p: how often samples of one and the same build would
  look at least this different. **Least p** is the smallest value these sizes can give; where it
  is above alpha nothing can be concluded, and more trials are the only remedy.
- **Adjusted p** accounts for all comparisons of the night.
- **Verdict**: a regression or an improvement is significant *and* at least as large as the policy's
  smallest change that matters (the grey zone). *No change* is a finding. *Inconclusive* is not: it
  says that the data cannot answer, and why.
"""


def builds_line(night: Night, trials: Sequence[TrialSummary]) -> str:
    """Who was set against whom, where."""
    contenders = ", ".join(night.contenders)
    if night.kind is NightKind.RELEASE:
        builds = f"{', '.join(night.baselines)} → {contenders}"
    else:
        builds = f"{contenders} against the nights before"
    hosts = sorted({own.host for own in trials})
    return f"{builds} · {'host ' + ', '.join(hosts) if hosts else 'no host yet'}"


def dropped_line(day: date | None) -> str:
    """Where the percentiles of a trial come from whose requests are gone."""
    when = "" if day is None else f" on {day.isoformat()}"
    return (
        f"Its requests were dropped{when}, as housekeeping does when they are old. These "
        f"percentiles are from the sketch of each latency, within {ACCURACY * 100:g} %."
    )


def stalls_line(stalls: Sequence[Stall], measurements: Mapping[str, float]) -> str:
    """When the engine answered nobody, and what throughput is without that."""
    when = ", ".join(
        f"for {quantity(own.duration_s, 's')} from second {own.start_s:.1f} "
        f"({counted(own.waiting, 'request')} waiting)"
        for own in stalls
    )
    told = f"The engine stalled (shaded below): nobody got a token {when}."
    steady, whole = (measurements.get(f"{name}_throughput") for name in ("steady", "output"))
    if steady is None or whole is None:
        return told
    apart, together = (quantity(value, "tok/s") for value in (steady, whole))
    return f"{told} Outside of that it made {apart}, over the whole window {together}."


def trials_line(
    night: Night, trials: Sequence[TrialSummary], launches: int, policies: Sequence[str]
) -> str:
    """How much ran and what judged it."""
    states = Counter(own.state for own in trials)
    counted = ", ".join(f"{states[state]} {state}" for state in TrialState)
    ended = f"{launches} launches, {night.launches} planned"
    judged = f"policy {', '.join(policies)}" if policies else "no policy has judged it"
    return f"{len(trials)} trials: {counted} · {ended} · {judged}"


def unchanged_line(unchanged: Sequence[Judgement]) -> str:
    """How many have not changed, and how many of them say little."""
    wide = sum(
        any(warning.code == "wide-interval" for warning in own.comparison.warnings)
        for own in unchanged
    )
    noisy = f"; {wide} of them too noisy to show every change that matters" if wide else ""
    return f"No change: {counted(len(unchanged), 'comparison')}{noisy}"


def labels(values: Sequence[Value]) -> dict[str, str]:
    """`2026-11-21, vllm 0.32.0, nightly #3` for the trial of each value, by key."""
    return {
        own.trial: f"{own.night[:10]}, {own.build_name}, {own.arm} #{own.replicate}"
        for own in values
    }


def sizes(found: Comparison) -> str:
    return f"{len(found.baseline.values)} v {len(found.contender.values)}"


def comparison_facts(found: Comparison) -> dict[str, str]:
    """The figures of one comparison, named."""
    unit = METRICS[found.metric].unit
    return {
        "Median": pair(found.baseline.median, found.contender.median, unit),
        "Change": percent(found.change),
        f"Interval, {found.confidence * 100:.1f} %": interval(found.interval),
        "Trials": sizes(found),
        "Overlap, Cliff's delta": overlap(found),
        "p, exact": probability(found.p),
        "Least p": probability(found.least_p),
        "Adjusted p": probability(found.p_adjusted),
        "Comparisons in the family": str(found.family_size or NONE),
    }


def overlap(found: Comparison) -> str:
    """`+0.84: the contender is higher in 92 % of the pairs`, a trial of each side; ties half."""
    baseline, contender = found.baseline.values, found.contender.values
    if not baseline or not contender:
        return NONE
    delta = cliffs_delta(baseline, contender)
    told = f"{delta:+.2f}".replace("-", MINUS)
    return f"{told}: the contender is higher in {size((1 + delta) / 2)} of the pairs"


def further_warnings(found: Comparison, judgement: Judgement | None) -> list[str]:
    """Warnings that the judgement's reason does not say already.

    How large a change would have been seen matters only where none was.
    """
    reason, needless = "", set()
    if judgement is not None:
        reason = judgement.reason
        moved = judgement.verdict in (Verdict.REGRESSION, Verdict.IMPROVEMENT)
        needless = {"wide-interval"} if moved else set()
    return [
        warning.text
        for warning in found.warnings
        if warning.text not in reason and warning.code not in needless
    ]


def metric_line(name: str) -> str:
    """What a metric is and which way is better."""
    metric = METRICS[name]
    return f"{name}: {metric.definition}; {metric.direction} is better"


def side_names(found: Comparison, builds: Mapping[str, str]) -> dict[str, str]:
    """`baseline: vllm 0.31.0`; `builds` names builds by key."""
    return {
        side: f"{side}: " + ", ".join(dict.fromkeys(builds.get(key, key) for key in own.builds))
        for side, own in (("baseline", found.baseline), ("contender", found.contender))
    }


def cells_line(cells: Sequence[Cell], shared: Sequence[str]) -> str:
    """What all the cells have in common, since tables name only what tells them apart."""
    count = counted(len(cells), "cell")
    return f"{count}, all of them {' · '.join(shared)}" if shared else count


def trial_facts(facts: TrialFacts) -> dict[str, str]:
    """What ran, where and when."""
    own, launch = facts.summary, facts.launch
    warm = {True: "warm", False: "cold", None: "not known"}[launch.caches_warm]
    took = duration(own.duration_s)
    return {
        "Cell": own.cell_slug,
        "Build": f"{own.build_name}, {facts.build.artefact} {facts.build.digest}",
        "Source commit": facts.build.source_commit or "not known",
        "Arm": f"{own.arm} #{own.replicate}, attempt {own.attempt}",
        "Seed": str(facts.seed),
        "Launched": f"{launch.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "Measured for": took,
        "Engine start": f"{duration(launch.startup_s)}, compilation caches {warm}",
        "Overhead": duration(launch.overhead_s),
    }


def trial_headline(facts: TrialFacts) -> tuple[str, list[str]]:
    """State first, then why, then what it was."""
    own = facts.summary
    meaning = {
        TrialState.VALID: "its numbers enter the samples",
        TrialState.INVALID: "a check failed, so its numbers are kept but never used",
        TrialState.FAILED: "it did not end, so there are no numbers",
    }
    lines = [own.reason] if own.reason else []
    if own.replaced:
        lines.append("A later attempt at this replicate is valid and takes its place.")
    lines.append(f"{own.build_name} · {own.cell_slug} · night {own.night}")
    return f"{own.state.capitalize()}: {meaning[own.state]}", lines


def command_text(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """What was started, as one would type it: variables, then a line an option."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    words = [shlex.quote(word) for word in command]
    options = " ".join(words).replace(" --", " \\\n    --")
    return " \\\n".join([*variables, options])


def card_errors(rows: Iterable[Telemetry], devices: Mapping[str, str]) -> list[str]:
    """`GPU 0: 3 corrected and 0 uncorrected ECC errors, 2 remapped rows.` One a card that tells
    them, with what the launch added; they are read at its begin and its end."""
    told: dict[str, list[Telemetry]] = {}
    for row in rows:
        if row.ecc_uncorrected is not None or row.remapped_rows is not None:
            told.setdefault(row.device, []).append(row)
    return [f"{devices.get(uuid, uuid)}: {_errors(own)}." for uuid, own in told.items()]


def _errors(own: Sequence[Telemetry]) -> str:
    first, last = own[0], own[-1]
    counts = (
        ("corrected ECC error", first.ecc_corrected, last.ecc_corrected),
        ("uncorrected ECC error", first.ecc_uncorrected, last.ecc_uncorrected),
        ("remapped row", first.remapped_rows, last.remapped_rows),
    )
    return ", ".join(
        counted(now, what) + (f" ({now - was} of them in this launch)" if was != now else "")
        for what, was, now in counts
        if was is not None and now is not None
    )
