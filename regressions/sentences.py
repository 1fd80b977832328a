"""How figures read in the reasons and warnings of a judgement."""

from collections.abc import Iterable, Sequence

from schema.episodes import Member
from schema.judgements import Comparison, Verdict
from schema.metrics import is_speed


def figure(p: float) -> str:
    """Two significant digits: 0.10, 0.0079."""
    return f"{p:#.2g}"


def percent(change: float) -> str:
    """+4.2 %, never -0.0 %."""
    return f"{round(100 * change, 1) + 0.0:+.1f} %"


def size(change: float) -> str:
    """A threshold or a width: 3 %, 7.5 %."""
    return f"{round(100 * change, 1):g} %"


def sizes(comparison: Comparison) -> str:
    """5 v 5, baseline first."""
    return f"{len(comparison.baseline.values)} v {len(comparison.contender.values)}"


def counted(count: int, noun: str) -> str:
    """1 cell, 2 cells."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some(names: Sequence[str], most: int = 2) -> str:
    """a, b and 3 more."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def moves(members: Iterable[Member], most: int = 3) -> str:
    """`itl_p50 +9.1 %, tpot_p50 +9.0 % and 2 more`: the largest of each metric."""
    largest: dict[str, float] = {}
    for one in sorted(members, key=worse_first):
        largest.setdefault(one.metric, one.change)
    return some([f"{name} {percent(change)}" for name, change in largest.items()], most - 1)


def worse_first(member: Member) -> tuple[bool, bool, float]:
    """What got worse before what got better, each with the most telling first."""
    worse = member.verdict is Verdict.REGRESSION
    return not worse, *most_telling_first(member.metric, member.change)


def most_telling_first(metric: str, change: float | None) -> tuple[bool, float]:
    """Speed before memory, energy and ratios, each by the size of its change."""
    return not is_speed(metric), -abs(change or 0.0)


def effect(comparison: Comparison) -> str:
    """+10.1 % (96.8 % interval +8.9 % to +11.3 %), p 0.0079."""
    text = "" if comparison.change is None else percent(comparison.change)
    if comparison.interval:
        low, high = comparison.interval
        text += f" ({size(comparison.confidence)} interval {percent(low)} to {percent(high)})"
    return text if comparison.p is None else f"{text}, p {figure(comparison.p)}".lstrip(", ")
