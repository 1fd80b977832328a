"""What moved in a night, by what did it: one cause over metrics, workloads and precisions. Pure.

Judgements are put together by what changed for them (engine, kind of GPU, builds, hosts) and by
whether the control arm moved along in their own cell; each group is attributed by the table; groups
that end with the same culprit are one cause. A host that is 5 % slow under a build that is 20 %
slow in one workload are two causes: the control arm explains one of them and not the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from regressions.attribution import Seen, Witness, Witnessed, attribute
from regressions.evidence import Evidence
from regressions.policy import Policy
from regressions.sentences import percent
from regressions.witnesses import control_comparison, fingerprint, others_say, says, together
from schema.cells import Cell, Engine, Gpu
from schema.episodes import Attribution, Cause
from schema.judgements import Comparison, Judgement, Verdict
from schema.nights import NightKind

MOVED = (Verdict.REGRESSION, Verdict.IMPROVEMENT)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One cause and everything that it moved in a night."""

    cause: Cause
    judgements: tuple[Judgement, ...]

    @property
    def night(self) -> str:
        return self.cause.nights[1]


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """For what the same things changed."""

    engine: Engine
    gpu: Gpu
    verdict: Verdict
    builds: tuple[str, str]
    hosts_before: tuple[str, ...]
    hosts_now: tuple[str, ...]


def causes(evidence: Evidence, judgements: Sequence[Judgement], policy: Policy) -> list[Moved]:
    """The night's causes, each with its judgements, in the order in which they were first met."""
    scopes: dict[_Scope, list[Judgement]] = {}
    cells = {cell.key: cell for cell in evidence.night.cells}
    for one in judgements:
        if one.verdict in MOVED and one.comparison.cell in cells:
            scope = _scope(evidence, one, cells[one.comparison.cell])
            scopes.setdefault(scope, []).append(one)
    found: dict[tuple[Attribution, str], Moved] = {}
    for scope, own in scopes.items():
        for control, group in _by_control(evidence, own, policy):
            cause = _cause(evidence, scope, control, group, judgements, policy)
            same = (cause.attribution, cause.subject)
            found[same] = _joined(found.get(same), Moved(cause=cause, judgements=tuple(group)))
    return list(found.values())


def _joined(first: Moved | None, further: Moved) -> Moved:
    """One cause of two groups: the dates of the first, the reasons of both."""
    if first is None:
        return further
    reasons = tuple(dict.fromkeys((*first.cause.reasons, *further.cause.reasons)))
    return Moved(
        cause=first.cause.model_copy(update={"reasons": reasons}),
        judgements=(*first.judgements, *further.judgements),
    )


def _scope(evidence: Evidence, own: Judgement, cell: Cell) -> _Scope:
    before, now = evidence.fingerprints[cell.key]
    seen = own.comparison
    return _Scope(
        engine=cell.family.engine,
        gpu=cell.family.gpu,
        verdict=own.verdict,
        builds=(seen.baseline.builds[-1], seen.contender.builds[-1]),
        hosts_before=before,
        hosts_now=now,
    )


def _by_control(
    evidence: Evidence, own: Sequence[Judgement], policy: Policy
) -> Iterator[tuple[Witness, list[Judgement]]]:
    """Told apart by what the control arm says in each cell; where it says nothing, as most do."""
    by_cell: dict[str, list[Judgement]] = {}
    for one in own:
        by_cell.setdefault(one.comparison.cell, []).append(one)
    said = {
        cell: together(_control_says(evidence, one.comparison, policy) for one in group)
        for cell, group in by_cell.items()
    }
    majority = together(said.values())
    if majority is Witness.SILENT and Witness.MOVED in said.values():
        majority = Witness.MOVED  # as many cells each way: the host touches all, a build need not
    groups: dict[Witness, list[Judgement]] = {}
    for cell, group in by_cell.items():
        witness = majority if said[cell] is Witness.SILENT else said[cell]
        groups.setdefault(witness, []).extend(group)
    yield from groups.items()


def _control_says(evidence: Evidence, own: Comparison, policy: Policy) -> Witness:
    control = control_comparison(evidence, own, policy)
    if control is None or own.change is None:
        return Witness.SILENT
    return says(own.change, control, policy.alpha)


def _cause(
    evidence: Evidence,
    scope: _Scope,
    control: Witness,
    group: Sequence[Judgement],
    judgements: Sequence[Judgement],
    policy: Policy,
) -> Cause:
    other, other_said = others_say(group, _other_engine(evidence, scope, judgements), policy.alpha)
    changed, differing = fingerprint(evidence.hosts, scope.hosts_before, scope.hosts_now)
    is_release = evidence.night.kind is NightKind.RELEASE
    said = Witnessed(
        build_changed=scope.builds[0] != scope.builds[1],
        seen=Seen.IN_TURNS if is_release else Seen.TONIGHT,
        control=control,
        other_engine=other,
        other_workloads=_other_workloads(evidence, group, judgements, policy),
        fingerprint=changed,
    )
    attribution, because = attribute(said)
    seen = (
        because,
        _control_sentence(evidence, group, policy),
        other_said and f"the other engine: {other_said}",
        differing and f"the host: {differing}",
    )
    return Cause(
        attribution=attribution,
        subject=_subject(evidence, scope, group, attribution, differing),
        reasons=tuple(text for text in seen if text),
        builds=_names(evidence, scope.builds),
        nights=_nights(evidence, group),
    )


def _other_engine(
    evidence: Evidence, scope: _Scope, judgements: Sequence[Judgement]
) -> list[Judgement]:
    others = {
        cell.key
        for cell in evidence.night.cells
        if cell.family.engine is not scope.engine and cell.family.gpu is scope.gpu
    }
    return [one for one in judgements if one.comparison.cell in others]


def _other_workloads(
    evidence: Evidence,
    group: Sequence[Judgement],
    judgements: Sequence[Judgement],
    policy: Policy,
) -> Witness:
    """Whether the launches that served what moved were steady under every other workload."""
    cells = {cell.key: cell for cell in evidence.night.cells}
    moved = {one.comparison.cell for one in group}
    families = {cells[key].family for key in moved}
    if len({cells[key].workload.name for key in moved}) > 1:
        return Witness.MOVED
    others = {cell.key for cell in cells.values() if cell.family in families} - moved
    rest = [one for one in judgements if one.comparison.cell in others]
    return others_say(group, rest, policy.alpha)[0]


def _control_sentence(evidence: Evidence, group: Sequence[Judgement], policy: Policy) -> str | None:
    """`the pinned vllm 0.30.0: itl_p50 +0.2 %, this one +9.1 %`, of the largest change."""
    for one in sorted(group, key=lambda one: -abs(one.comparison.change or 0.0)):
        control = control_comparison(evidence, one.comparison, policy)
        if control and control.change is not None and one.comparison.change is not None:
            [name] = _names(evidence, control.contender.builds[-1:])
            return (
                f"the pinned {name}: {control.metric} {percent(control.change)}, "
                f"this one {percent(one.comparison.change)}"
            )
    return None


def _subject(
    evidence: Evidence,
    scope: _Scope,
    group: Sequence[Judgement],
    attribution: Attribution,
    differing: str | None,
) -> str:
    hosts = ", ".join(dict.fromkeys(evidence.hosts[key].name for key in scope.hosts_now))
    if attribution is Attribution.BUILD:
        return scope.engine.value
    if attribution is Attribution.WORKLOAD:
        cells = {cell.key: cell for cell in evidence.night.cells}
        return cells[group[0].comparison.cell].workload.name
    if attribution in (Attribution.DRIVER, Attribution.CLIENT) and differing:
        return differing
    return f"{scope.engine} on {scope.gpu}" if attribution is Attribution.UNKNOWN else hosts


def _names(evidence: Evidence, keys: Sequence[str]) -> tuple[str, ...]:
    every = (*evidence.baseline, *evidence.control_before, *evidence.contender, *evidence.control)
    names = {value.build: value.build_name for value in every}
    return tuple(names[key] for key in keys)


def _nights(evidence: Evidence, group: Sequence[Judgement]) -> tuple[str, str]:
    moved = {one.comparison.cell for one in group}
    good = max(one.night for one in evidence.baseline if one.cell in moved)
    return good, evidence.night.name
