"""How much launches of one build scatter, and what change that lets be seen."""

from collections.abc import Iterator, Sequence

from dashboard.levels import LEAST_LAUNCHES, Level, load_words, spread
from dashboard.units import NONE, share
from schema.metrics import METRICS
from schema.trials import variant_named
from stats.power import smallest_change
from stats.rank_test import least_p
from stats.spread import Variation, variation
from tailwatch.measurements.found import Found
from tailwatch.measurements.gaps import PARTS
from tailwatch.measurements.markdown import table
from tailwatch.measurements.memory import name

DETAILED = (
    *("output_throughput", "steady_throughput"),
    *("itl_p50", "itl_p99", "ttft_p50", "energy_per_token"),
)
"""Metrics whose spread is told cell by cell."""
MOST_CV = 1 / 3
"""Beyond it neither an interval nor a power for Gaussian values means much."""


def noisy(found: Found) -> list[Level]:
    """Cells and builds with enough launches to tell a spread; a planted variant is none of them."""
    enough = [own for own in found.levels if own.launches >= LEAST_LAUNCHES]
    return [own for own in enough if not variant_named(own.build)]


def noise(found: Found) -> Iterator[str]:
    """For each kind of GPU: every metric over its cells, then cell by cell."""
    told = noisy(found)
    for gpu in dict.fromkeys(own.cell.family.gpu for own in told):
        own = [level for level in told if level.cell.family.gpu == gpu]
        yield f"### {gpu}: {len(own)} cells with {LEAST_LAUNCHES} to {_most(own)} launches"
        yield ""
        yield from table(_titles(found), _metrics(own, found))
        yield from table(("cell", "launches", *DETAILED), [_cell(level) for level in own])
    few = len({level.cell.key for level in found.levels} - {level.cell.key for level in told})
    if few:
        yield f"{few} further cells have fewer than {LEAST_LAUNCHES} launches: no spread."
        yield ""


def _most(own: Sequence[Level]) -> int:
    return max(level.launches for level in own)


def sizes(found: Found) -> tuple[tuple[int, int], ...]:
    """Trials a side: two short releases, and tonight against a full baseline."""
    return (3, 3), (5, 5), (3, 3 * found.policy.baseline_nights)


def _titles(found: Found) -> tuple[str, ...]:
    seen = [f"{m} v {n} shows" for m, n in sizes(found)]
    return ("metric", "between launches", "cell by cell", "within a launch", *seen, "min_change")


def _metrics(own: Sequence[Level], found: Found) -> Iterator[tuple[str, ...]]:
    for metric in [one.name for one in METRICS.values() if one.judged]:
        between = [one for level in own if (one := spread(level.values.get(metric, ())))]
        pooled = variation([level.values.get(metric, ()) for level in own])
        if pooled is None or not between:
            continue
        least, most = (chosen(one.cv for one in between) for chosen in (min, max))
        matters = found.policy.min_change.get(metric)
        yield (
            f"`{metric}`",
            words(pooled),
            f"{share(least)} to {share(most)}",
            _within(own, metric, found),
            *(_shows(pooled, m, n, found.policy.alpha) for m, n in sizes(found)),
            NONE if matters is None else share(matters),
        )


def words(seen: Variation | None) -> str:
    """`0.39 % (0.24 to 0.96)`."""
    if seen is None:
        return NONE
    if seen.interval is None:
        return share(seen.cv)
    low, high = (share(bound).removesuffix(" %") for bound in seen.interval)
    return f"{share(seen.cv)} ({low} to {high})"


def _within(own: Sequence[Level], metric: str, found: Found) -> str:
    """Spread of the parts of a window, each around its own trial's mean."""
    groups = [
        found.within[key].parts[metric]
        for level in own
        for key in level.trials
        if key in found.within and metric in found.within[key].parts
    ]
    return words(variation(groups))


def _shows(pooled: Variation, m: int, n: int, alpha: float) -> str:
    """The change that is seen four times in five, at the estimate and at its upper end."""
    if least_p(m, n) > alpha:
        return f"nothing: least p {least_p(m, n):.2g}"
    if pooled.cv == 0:
        return "any"
    if pooled.cv > MOST_CV:
        return "too noisy to say"
    ends = [pooled.cv, *([pooled.interval[1]] if pooled.interval else [])]
    found = [smallest_change(m, n, noise=noise, alpha=alpha) for noise in ends]
    told = [share(change) for change in found if change is not None]
    return told[0] if len(told) == 1 else f"{told[0]} (at most {told[1]})"


def _cell(level: Level) -> tuple[str, ...]:
    return (
        f"{name([level])}: {load_words(level.cell.workload)}",
        str(level.launches),
        *(words(spread(level.values.get(metric, ()))) for metric in DETAILED),
    )


def explained(found: Found) -> str:
    """What the columns are."""
    alpha, nights = found.policy.alpha, found.policy.baseline_nights
    return (
        "*Between launches* is the coefficient of variation over fresh launches of one build in "
        "one cell, pooled over cells by degrees of freedom, with its 95 % interval (Vangel 1996); "
        "*cell by cell* is its range. *Within a launch* is the same of the "
        f"{PARTS} quarters of a window (equally many requests in the order of sending), each "
        "against its own trial: what one launch alone would suggest. *Shows* is the smallest "
        f"change that so many trials a side show four times in five at alpha {alpha:g}, in "
        "brackets at the upper end of the interval; the last of them is tonight's three launches "
        f"against {nights} nights. *min_change* is what the policy calls a change that matters. "
        "Cells differ widely, so look at the table by cell before relying on a pooled figure."
    )
