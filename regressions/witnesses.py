"""What the witnesses of a night say about something that moved. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from regressions.attribution import Fingerprint, Witness
from regressions.compare import compare, side
from regressions.evidence import Evidence, differences
from regressions.policy import Policy
from regressions.sentences import percent
from schema.hosts import Host
from schema.judgements import Comparison, Judgement

EXPLAINS = 0.5
"""The share of a change from which on a witness that moved too explains it."""
_KINDS = {
    "driver": Fingerprint.DRIVER,
    "cuda": Fingerprint.DRIVER,
    "python": Fingerprint.CLIENT,  # the load client runs in it
}


def says(change: float, seen: Comparison, alpha: float) -> Witness:
    """Whether what a witness measured goes along with a relative `change`, or excludes that."""
    if seen.change is None or seen.p is None or change == 0:
        return Witness.SILENT
    if seen.p <= alpha and seen.change / change >= EXPLAINS:
        return Witness.MOVED
    if seen.interval and max(end / change for end in seen.interval) < EXPLAINS:
        return Witness.STEADY
    return Witness.SILENT


def together(said: Iterable[Witness]) -> Witness:
    """What most of those say who say anything."""
    counts = Counter(said)
    moved, steady = counts[Witness.MOVED], counts[Witness.STEADY]
    if moved == steady:
        return Witness.SILENT
    return Witness.MOVED if moved > steady else Witness.STEADY


def control_comparison(evidence: Evidence, own: Comparison, policy: Policy) -> Comparison | None:
    """The pinned build tonight against itself on the nights of the baseline; None without it."""
    every, tonight = evidence.controls.get((own.cell, own.metric), ([], []))
    builds = {value.build for value in tonight}
    before = [value for value in every if value.build in builds]
    if not tonight or not before:
        return None
    first, second = (
        side(
            [value.build for value in one],
            [value.trial for value in one],
            [value.value for value in one],
        )
        for one in (before, tonight)
    )
    return compare(
        night=own.night, cell=own.cell, metric=own.metric,
        baseline=first, contender=second, policy=policy,
    )  # fmt: skip


def others_say(
    moved: Sequence[Judgement], others: Sequence[Judgement], alpha: float
) -> tuple[Witness, str | None]:
    """Whether other judgements of the same night go along, metric by metric, with an example."""
    changes: dict[str, list[float]] = {}
    for one in moved:
        changes.setdefault(one.comparison.metric, []).append(one.comparison.change or 0.0)
    said = [
        (says(median(changes[metric]), one.comparison, alpha), one.comparison)
        for one in others
        for metric in [one.comparison.metric]
        if metric in changes
    ]
    verdict = together(witness for witness, _ in said)
    example = next((seen for witness, seen in said if witness is verdict), None)
    if example is None or example.change is None or verdict is Witness.SILENT:
        return verdict, None
    return verdict, f"{example.metric} {percent(example.change)}"


def fingerprint(
    hosts: Mapping[str, Host], before: Sequence[str], now: Sequence[str]
) -> tuple[Fingerprint, str | None]:
    """How the latest new host differs from the one it took the place of; oldest first."""
    new = [host for host in now if host not in before]
    if not new or not before:
        return Fingerprint.SAME, None
    bad = hosts[new[-1]]
    namesakes = [host for host in before if hosts[host].name == bad.name]
    good = hosts[(namesakes or list(before))[-1]]
    kinds = set(_kinds(good, bad))
    if not kinds:
        return Fingerprint.SAME, None
    kind = kinds.pop() if len(kinds) == 1 else Fingerprint.SEVERAL
    return kind, "; ".join(differences(good, bad))


def _kinds(good: Host, bad: Host) -> Iterator[Fingerprint]:
    if good.name != bad.name:  # another machine: whatever else differs comes with it
        yield Fingerprint.HOST
        return
    for field in good.differs(bad):
        yield _KINDS.get(field, Fingerprint.HOST)
