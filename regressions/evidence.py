"""Which trials of a night are set against which, and what to warn of. Pure: night.py reads it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from regressions.compare import compare, side
from regressions.policy import JUDGED, Policy
from regressions.sentences import counted, some
from schema.hosts import Host
from schema.judgements import Comparison, Warning
from schema.metrics import METRICS
from schema.nights import Night, NightKind
from schema.store.trials import TrialSummary
from schema.store.values import NotEstimable, Value
from schema.trials import Arm, Build, TrialState

CONTENDER = {NightKind.NIGHTLY: Arm.NIGHTLY, NightKind.RELEASE: Arm.RELEASE_CONTENDER}
REPRESENTATIVE = next(iter(METRICS))
"""The metric whose row says that a cell could not be compared: the first that people read."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that a judgement of one night looks at."""

    night: Night
    baseline: Sequence[Value]
    """Release: of its own night. Nightly: of the nights before, oldest first."""
    contender: Sequence[Value]
    trials: Sequence[TrialSummary]
    """Of the night, every arm and state."""
    not_estimable: Sequence[NotEstimable]
    """Of the night."""
    hosts: Mapping[str, Host]
    """By fingerprint, for every host in `baseline` and `contender`."""
    builds: Mapping[str, Build]
    """By key, likewise."""
    control: Sequence[Value] = ()
    """Of the pinned build in the same night: a witness, never a side."""
    control_before: Sequence[Value] = ()
    """Of the pinned build in the nights of `baseline`."""
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Nights from which an accepted level holds, by cell: `baseline` is carried to the last."""

    @cached_property
    def controls(self) -> dict[tuple[str, str], tuple[list[Value], list[Value]]]:
        """Values of the pinned build, before and in the night, by cell and metric."""
        sides: dict[tuple[str, str], tuple[list[Value], list[Value]]] = {}
        for at, values in enumerate((self.control_before, self.control)):
            for one in values:
                sides.setdefault((one.cell, one.metric), ([], []))[at].append(one)
        return sides

    @cached_property
    def fingerprints(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Hosts of each cell's baseline and contender, oldest first."""
        sides: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
        for at, values in enumerate((self.baseline, self.contender)):
            for one in values:
                sides.setdefault(one.cell, ({}, {}))[at][one.host] = None
        return {cell: (tuple(before), tuple(now)) for cell, (before, now) in sides.items()}


def compare_night(evidence: Evidence, policy: Policy) -> list[Comparison]:
    """Comparisons in planned order; a cell without a valid side gets one row that says so.

    Families that return their experts are not timed: there is nothing to compare.
    """
    timed = [cell.key for cell in evidence.night.cells if not cell.family.returns_experts]
    return [
        comparison
        for key in dict.fromkeys(timed)
        for comparison in _compare_cell(evidence, key, policy)
    ]


def _compare_cell(evidence: Evidence, cell: str, policy: Policy) -> Iterator[Comparison]:
    baseline = [value for value in evidence.baseline if value.cell == cell]
    contender = [value for value in evidence.contender if value.cell == cell]
    if not baseline or not contender:
        warnings = [
            Warning(code="no-valid-trial", text=_absent(evidence, cell, baseline, contender))
        ]
        yield _row(evidence, cell, REPRESENTATIVE, baseline, contender, warnings, policy)
        return
    common = [
        *_host_changed(evidence.hosts, baseline, contender),
        *_environment_changed(evidence.builds, [*baseline, *contender]),
        *_carried(baseline, evidence.levels.get(cell, ())),
    ]
    unknown = [one for one in evidence.not_estimable if one.cell == cell]
    seen = {value.metric for value in (*baseline, *contender)} | {one.metric for one in unknown}
    for metric in JUDGED:
        if metric in seen:
            warnings = [*common, *_not_estimable(evidence.night.kind, unknown, metric)]
            yield _row(evidence, cell, metric, baseline, contender, warnings, policy)


def _row(
    evidence: Evidence,
    cell: str,
    metric: str,
    baseline: Sequence[Value],
    contender: Sequence[Value],
    warnings: Sequence[Warning],
    policy: Policy,
) -> Comparison:
    sides = [[value for value in one if value.metric == metric] for one in (baseline, contender)]
    first, second = (
        side(
            [value.build for value in one],
            [value.trial for value in one],
            [value.value for value in one],
        )
        for one in sides
    )
    return compare(
        night=evidence.night.name,
        cell=cell,
        metric=metric,
        baseline=first,
        contender=second,
        policy=policy,
        warnings=warnings,
    )


def _absent(
    evidence: Evidence, cell: str, baseline: Sequence[Value], contender: Sequence[Value]
) -> str:
    """no valid contender trial: 5 failed, engine died"""
    kind = evidence.night.kind
    texts = []
    if not baseline and kind is NightKind.NIGHTLY:
        texts.append("no valid baseline trial: no earlier night measured this cell")
    elif not baseline:
        fate = _fate(evidence.trials, cell, Arm.RELEASE_BASELINE)
        texts.append(f"no valid baseline trial: {fate}")
    if not contender:
        fate = _fate(evidence.trials, cell, CONTENDER[kind])
        texts.append(f"no valid contender trial: {fate}")
    return "; ".join(texts)


def _fate(trials: Sequence[TrialSummary], cell: str, arm: Arm) -> str:
    """What became of them: counts by state, and the reason given most often."""
    own = [trial for trial in trials if trial.cell == cell and trial.arm is arm]
    if not own:
        return "none was made"
    if all(trial.state is TrialState.VALID for trial in own):
        return "the valid ones measured nothing"
    states = Counter(trial.state for trial in own if trial.state is not TrialState.VALID)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    reasons = Counter(trial.reason for trial in own if trial.reason)
    return f"{counts}, {reasons.most_common(1)[0][0]}" if reasons else counts


def _not_estimable(
    kind: NightKind, unknown: Sequence[NotEstimable], metric: str
) -> Iterator[Warning]:
    sides = {Arm.RELEASE_BASELINE: "baseline", CONTENDER[kind]: "contender"}
    both = [one for one in unknown if one.metric == metric and one.arm in sides]
    if {one.arm for one in both} == set(sides) and len({one.reason for one in both}) == 1:
        text = f"not estimable on either side: {both[0].reason}"
        yield Warning(code="not-estimable", text=text)
        return
    for arm, name in sides.items():
        own = [one for one in unknown if one.metric == metric and one.arm is arm]
        if own:
            trials = counted(len(own), "trial")
            text = f"not estimable in {trials} of the {name}: {own[0].reason}"
            yield Warning(code="not-estimable", text=text)


def _host_changed(
    hosts: Mapping[str, Host], baseline: Sequence[Value], contender: Sequence[Value]
) -> Iterator[Warning]:
    """Compares the latest host of each side that the other side never ran on."""
    before = list(dict.fromkeys(value.host for value in baseline))
    now = list(dict.fromkeys(value.host for value in contender))
    if set(before) == set(now):
        return
    old = next((host for host in reversed(before) if host not in now), before[-1])
    new = next((host for host in reversed(now) if host not in before), now[-1])
    if what := "; ".join(differences(hosts[old], hosts[new])):
        yield Warning(code="host-changed", text=f"baseline and contender differ in host: {what}")


def _environment_changed(builds: Mapping[str, Build], values: Sequence[Value]) -> Iterator[Warning]:
    """A release that was installed again may stand beside other packages: another build."""
    named: dict[str, dict[str, None]] = {}
    for value in values:
        named.setdefault(value.build_name, {})[value.build] = None
    for name, keys in named.items():
        if len(keys) > 1:
            first, *_, last = (builds[key] for key in keys)
            what = some(list(package_changes(first, last))) or "which packages is not known"
            text = f"{name} ran in {len(keys)} environments: {what}"
            yield Warning(code="environment-changed", text=text)


def _carried(baseline: Sequence[Value], levels: Sequence[str]) -> Iterator[Warning]:
    if levels and min(value.night for value in baseline) < levels[-1]:
        text = (
            f"the level of {levels[-1]} was accepted: values from before it are carried to it, "
            "so that their spread is kept"
        )
        yield Warning(code="level-accepted", text=text)


def differences(old: Host, new: Host) -> Iterator[str]:
    """`driver 570.86 → 575.57` for every part of a machine that is not the same."""
    for name in old.differs(new):
        if name in ("cards", "links"):
            yield name
        else:
            yield f"{name.replace('_', ' ')} {getattr(old, name)} → {getattr(new, name)}"


def package_changes(old: Build, new: Build) -> Iterator[str]:
    """`starlette 0.48.0 → 0.49.1`, `without x 1.0`, `with y 2.0`; nothing unless both are known."""
    before, now = old.package_versions, new.package_versions
    if not (before and now):
        return
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"without {name} {before[name]}"
        elif name not in before:
            yield f"with {name} {now[name]}"
        elif before[name] != now[name]:
            yield f"{name} {before[name]} → {now[name]}"
