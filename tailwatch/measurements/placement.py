"""What a step costs under expert parallelism when the experts of a token share a card."""

from collections.abc import Iterable, Iterator, Sequence
from math import comb

from dashboard.levels import Level, load_words
from dashboard.parallel import Contrast
from dashboard.units import NONE, share, times
from schema.cells import Family
from schema.models import Weights
from stats.samples import median
from tailwatch.measurements.found import Found
from tailwatch.measurements.gaps import Ends
from tailwatch.measurements.markdown import counted_launches, figure, table
from tailwatch.measurements.memory import name

EXPLAINED = """\
Under EP every expert lies on one card, and a step waits for the card that has most of what its
tokens chose. With one request in flight the ITL then has two levels, one for experts on different
cards and one for experts that share a card: *P90 / P10* is what sharing costs. *Slow* are the gaps
above the middle of both, *between* those in the middle third: few of them means two levels, and
then the median is one or the other by chance, while the mean tells what a token costs. *By chance*
is how often all experts of a token share a card if every choice is as likely as any other."""
DUMMY = """\
Dummy weights are the same in every layer, so the experts of a token share a card in all layers or
in none ([Expert balance](#expert-balance)). Trained routers mix both within a step."""
TITLES = (
    *("split and load", "launches", "ITL mean", "ITL P10", "ITL P90", "P90 / P10"),
    *("slow", "by chance", "between"),
)


def shared_cards(found: Found, made: Iterable[Contrast]) -> Iterator[str]:
    """A row each of EP and of what it is set against, with one request in flight."""
    pairs = [one for own in made for one in alone(own)]
    told = [own for own in pairs if all(ends_of(found, level) for level in own)]
    if not told:
        return
    yield "### Experts that share a card"
    yield ""
    yield EXPLAINED
    yield ""
    if any(level.cell.family.model.weights is Weights.DUMMY for own in told for level in own):
        yield DUMMY
        yield ""
    yield from table(TITLES, [_row(found, level) for own in told for level in own])


def alone(found: Contrast) -> Iterator[tuple[Level, Level]]:
    """(without EP, with it) of loads with one request in flight."""
    under = {own.cell.workload: own for own in found.under}
    for own in found.over:
        workload = own.cell.workload
        if own.cell.family.expert_parallel > 1 and workload.concurrency == 1 and workload in under:
            yield under[workload], own


def ends_of(found: Found, level: Level) -> list[Ends]:
    return [found.within[key].ends for key in level.trials if key in found.within]


def sharing_cost(ends: Sequence[Ends]) -> float:
    """How many times as long a token takes whose experts share a card; median over launches."""
    return median([own.high / own.low for own in ends])


def _row(found: Found, level: Level) -> tuple[str, ...]:
    ends = ends_of(found, level)
    family = level.cell.family
    chance = shares_a_card(family)
    return (
        f"{name([level])}: {load_words(level.cell.workload)}",
        counted_launches(level.launches),
        figure(found.means(level), "s", level.launches),
        figure([own.low for own in ends], "s", level.launches),
        figure([own.high for own in ends], "s", level.launches),
        times(sharing_cost(ends)),
        share(median([own.slow for own in ends])),
        NONE if chance is None else share(chance),
        share(median([own.between for own in ends])),
    )


def shares_a_card(family: Family) -> float | None:
    """Chance that all experts of a token lie on one card, each choice being as likely as any
    other: n C(E/n, k) / C(E, k). None without EP."""
    cards, model = family.expert_parallel, family.model
    if cards == 1 or not model.is_moe:
        return None
    return (
        cards
        * comb(model.experts // cards, model.active_experts)
        / comb(model.experts, model.active_experts)
    )
