"""Who is to blame, by a table over what the witnesses said. Pure.

A contender that got slower has witnesses: the control arm (a pinned build measured on the same
hosts every night), the other engine on the same kind of GPU, the fingerprint of the host, and the
other workloads of the same launches. A series that is replayed has fewer: the builds, environments
and engines that its nights name. The first row of the table that fits decides.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from schema.episodes import Attribution


class Witness(StrEnum):
    """What somebody who saw the same night says."""

    MOVED = "moved"
    STEADY = "steady"
    SILENT = "silent"  # absent, or too few trials to tell


class Seen(StrEnum):
    """How a change was seen."""

    TONIGHT = "tonight"  # against the nights before
    IN_TURNS = "in turns"  # both builds in one night
    REPLAYED = "replayed"  # in the nights of a series alone, which the following ones confirm


class Fingerprint(StrEnum):
    """What changed about the host between the last good night and the first bad one."""

    SAME = "same"
    DRIVER = "driver"
    CLIENT = "client"
    HOST = "host"
    SEVERAL = "several"


@dataclass(frozen=True, kw_only=True)
class Witnessed:
    """Everything that the witnesses of one group of moved metrics said."""

    build_changed: bool | None
    """None where a series does not name its builds."""
    seen: Seen = Seen.TONIGHT
    last_good: Witness = Witness.SILENT
    """The last good build, measured again in the night, against the nights before."""
    control: Witness = Witness.SILENT
    other_engine: Witness = Witness.SILENT
    """On the same kind of GPU."""
    other_workloads: Witness = Witness.SILENT
    """Of the same launches: moved unless exactly one workload did."""
    fingerprint: Fingerprint = Fingerprint.SAME


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; None fits everything. A reason of a replay has places for names."""

    attribution: Attribution
    because: str
    build_changed: bool | None = None
    seen: Seen = Seen.TONIGHT
    last_good: Witness | None = None
    control: Witness | None = None
    other_engine: Witness | None = None
    other_workloads: Witness | None = None
    fingerprint: Fingerprint | None = None

    def fits(self, said: Witnessed) -> bool:
        """Whether every column that the row has agrees."""
        asked = (
            (self.build_changed, said.build_changed),
            (self.last_good, said.last_good),
            (self.control, said.control),
            (self.other_engine, said.other_engine),
            (self.other_workloads, said.other_workloads),
            (self.fingerprint, said.fingerprint),
        )
        agrees = all(wanted is None or wanted is there for wanted, there in asked)
        return agrees and self.seen is said.seen


MOVED, STEADY = Witness.MOVED, Witness.STEADY
_WOULD_DECIDE = "a control arm would decide (`control: vllm==...` in the matrix)"
_BY_FINGERPRINT = {
    Fingerprint.DRIVER: Attribution.DRIVER,
    Fingerprint.CLIENT: Attribution.CLIENT,
    Fingerprint.HOST: Attribution.HOST,
    Fingerprint.SEVERAL: Attribution.HOST,
}


def _moved_along(who: str) -> tuple[Row, ...]:
    """What it means that somebody moved with the contender; the column is still to be filled."""
    return (
        Row(
            other_workloads=STEADY,
            fingerprint=Fingerprint.SAME,
            attribution=Attribution.WORKLOAD,
            because=f"{who} moved with it, and no other workload of the same launches did",
        ),
        *(
            Row(
                fingerprint=changed,
                attribution=attribution,
                because=f"{who} moved with it, and the host's fingerprint changed",
            )
            for changed, attribution in _BY_FINGERPRINT.items()
        ),
        Row(attribution=Attribution.HOST, because=f"{who} moved with it"),
    )


_REPLAYED = (
    Row(
        other_engine=MOVED,
        attribution=Attribution.HOST,
        because="{engine} moved the same way in the same nights",
    ),
    Row(
        build_changed=True,
        fingerprint=Fingerprint.HOST,
        attribution=Attribution.UNKNOWN,
        because="the build is new: {builds}, and the environment is new: {environments}",
    ),
    Row(
        fingerprint=Fingerprint.HOST,
        attribution=Attribution.HOST,
        because="the environment is new: {environments}, the build is not",
    ),
    Row(
        build_changed=True,
        attribution=Attribution.BUILD,
        because="the build is new: {builds}",
    ),
    Row(
        build_changed=False,
        attribution=Attribution.HOST,
        because="the same build ran before the change and since",
    ),
    Row(attribution=Attribution.UNKNOWN, because="the series does not name builds"),
)

TABLE: tuple[Row, ...] = (
    *(replace(row, seen=Seen.REPLAYED) for row in _REPLAYED),
    Row(
        seen=Seen.IN_TURNS,
        fingerprint=Fingerprint.SAME,
        attribution=Attribution.BUILD,
        because="both builds ran in turns on the same hosts in the same night",
    ),
    Row(
        seen=Seen.IN_TURNS,
        attribution=Attribution.UNKNOWN,
        because="the two builds ran on hosts that differ: a release on one host would decide",
    ),
    *(
        replace(row, last_good=MOVED)
        for row in _moved_along("the last good build, measured again tonight,")
    ),
    *(replace(row, control=MOVED) for row in _moved_along("the pinned build")),
    Row(
        control=STEADY,
        build_changed=True,
        attribution=Attribution.BUILD,
        because="the pinned build did not move on the same hosts",
    ),
    Row(
        control=STEADY,
        attribution=Attribution.UNKNOWN,
        because="neither the build changed nor did the pinned build move: look for what only this "
        "build shares, such as its environment or its compilation caches",
    ),
    # from here on the control arm is silent
    *(
        replace(row, other_engine=MOVED)
        for row in _moved_along("the other engine on the same kind of GPU")
    ),
    *(
        Row(
            build_changed=False,
            fingerprint=changed,
            attribution=attribution,
            because="nothing but the host's fingerprint changed",
        )
        for changed, attribution in _BY_FINGERPRINT.items()
    ),
    Row(
        build_changed=True,
        other_engine=STEADY,
        fingerprint=Fingerprint.SAME,
        attribution=Attribution.BUILD,
        because="only the build changed, and the other engine on the same kind of GPU did not move",
    ),
    Row(
        build_changed=True,
        fingerprint=Fingerprint.SAME,
        attribution=Attribution.UNKNOWN,
        because=f"the build changed, and no witness saw the host: {_WOULD_DECIDE}, or the other "
        "engine on the same kind of GPU",
    ),
    Row(
        build_changed=True,
        attribution=Attribution.UNKNOWN,
        because=f"the build and the host's fingerprint both changed: {_WOULD_DECIDE}",
    ),
    Row(
        build_changed=False,
        attribution=Attribution.UNKNOWN,
        because="neither the build nor the host's fingerprint changed, and no witness saw the "
        f"host: {_WOULD_DECIDE}",
    ),
)


def attribute(said: Witnessed) -> tuple[Attribution, str]:
    """Who is to blame, and why; `unknown` says which witness would decide."""
    row = next(row for row in TABLE if row.fits(said))
    return row.attribution, row.because
