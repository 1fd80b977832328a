"""What a reader should take away, computed from all that follows it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dashboard.levels import LEAST_LAUNCHES, Level, load_words, spread
from dashboard.moe import Pair, pairs, ratio
from dashboard.parallel import Contrast, contrasts
from dashboard.units import percent, quantity, share, times
from regressions.sentences import counted, most_telling_first
from schema.judgements import Judgement
from schema.store.nights import NightSummary
from schema.trials import TrialState, variant_named
from stats.samples import median
from tailwatch.measurements.found import Found
from tailwatch.measurements.noise import noisy
from tailwatch.measurements.placement import alone, ends_of, sharing_cost
from tailwatch.measurements.stalls import stalled_levels
from tailwatch.verdict_table import MOVED, summary

SCATTER = {
    "output_throughput": "throughput",
    "itl_p50": "ITL P50",
    "ttft_p50": "TTFT P50",
    "itl_p99": "ITL P99",
}
"""Metrics whose noise is told, in the words of a sentence."""


def in_short(found: Found) -> Iterator[str]:
    """A line a finding, with a link to where it is shown; none of what was not measured."""
    splits = contrasts(found.levels)
    yield f"- {_measured(found)}"
    for told in (
        _compared(found),
        _sparse(found),
        _splits(splits),
        _shared(found, splits),
        _stalls(found),
        _noise(found),
    ):
        yield from (f"- {own}" for own in told)
    yield ""


def _measured(found: Found) -> str:
    launches = len({own.launch for own in found.trials.values()})
    cards = len({card.uuid for host in found.hosts.values() for card in host.cards})
    valid = sum(own.state is TrialState.VALID for own in found.trials.values())
    where = f" on {counted(cards, 'card')}" if cards else ""
    made = f"{counted(launches, 'engine start')}{where} made {counted(len(found.trials), 'trial')}"
    if valid == len(found.trials):
        return f"{made}, all of them valid."
    return f"{made}, {valid} of them valid; [why not](#what-counts-for-nothing) all."


def _compared(found: Found) -> Iterator[str]:
    """Of the nights that set one build against another in turns."""
    for night in found.nights:
        judged = found.judgements[night.name]
        if night.baselines and any(own.comparison.change is not None for own in judged):
            told = f"{summary(judged)}{largest_move(judged, found.slugs)}"
            yield f"{_sides(night)}: {told}. [Comparison](#comparisons)"


def _sides(night: NightSummary) -> str:
    contender, baseline = (", ".join(own) for own in (night.contenders, night.baselines))
    return f"{contender} against {'itself' if contender == baseline else baseline}"


def largest_move(judged: Sequence[Judgement], slugs: Mapping[str, str]) -> str:
    """`; most `itl_p99`, +15.1 % (its median +0.04 %) in vllm/...`: the largest change that a
    verdict stands for, of speed where it moved. `slugs` gives the slug of a cell by its key."""
    moved = [own.comparison for own in judged if own.verdict in MOVED]
    if not moved:
        return ""
    most = min(moved, key=lambda one: most_telling_first(one.metric, one.change))
    base, is_tail, _ = most.metric.partition("_p9")
    median_of_it = (most.cell, f"{base}_p50")
    beside = "".join(
        f" (its median {percent(own.comparison.change)})"
        for own in judged
        if is_tail and (own.comparison.cell, own.comparison.metric) == median_of_it
    )
    return f"; most `{most.metric}`, {percent(most.change)}{beside} in {slugs[most.cell]}"


def _sparse(found: Found) -> Iterator[str]:
    """The smallest and the largest batch, where nothing but the model differs."""
    told: dict[str, list[float]] = {}
    made = [pair for pair in pairs(found.levels) if _alike(pair)]
    for pair in made:
        closed = [one for one in pair.loads if one[0].cell.workload.concurrency]
        for sparse, dense in closed[:1] + closed[1:][-1:]:
            if (value := ratio(sparse, dense, "output_throughput")) is not None:
                told.setdefault(load_words(sparse.cell.workload), []).append(value)
    if told:
        at = " and ".join(f"{_range(values)} at {load}" for load, values in told.items())
        yield (
            f"A sparse model makes {at} of the tokens of the dense one beside it "
            f"({counted(len(made), 'pair')} of one build, precision and number of cards). "
            "[Sparse beside dense](#sparse-beside-dense)"
        )


def _alike(pair: Pair) -> bool:
    """One precision, no planted build and no expert parallelism, which a dense model has not."""
    sparse, dense = (own[0].cell.family for own in (pair.sparse, pair.dense))
    plain = not variant_named(pair.build) and sparse.expert_parallel == 1
    return plain and sparse.precision is dense.precision


def _splits(made: Iterable[Contrast]) -> Iterator[str]:
    """What another split does to the throughput of closed loops, build by build."""
    told: dict[str, list[str]] = {}
    for own in made:
        family = own.over[0].cell.family
        under, over = own.words
        values = [
            one.value
            for one in own.ratios
            if one.metric == "output_throughput"
            and one.over.cell.workload.concurrency
            and one.value is not None
        ]
        if values:
            model = f"{family.model.short_name} {family.precision}"
            title = f"{model} on {family.gpu}, {over} against {under}"
            told.setdefault(title, []).append(f"{_range(values)} ({own.over[0].build})")
    for title, builds in told.items():
        ranges = ", ".join(builds)
        yield f"{title}: throughput {ranges} in batches. [Over more cards](#over-more-cards)"


def _shared(found: Found, made: Iterable[Contrast]) -> Iterator[str]:
    costs = {
        f"{level.build} on {level.cell.family.gpu}": times(sharing_cost(ends))
        for contrast in made
        for _, level in alone(contrast)
        if (ends := ends_of(found, level))
    }
    if costs:
        told = ", ".join(f"{cost} ({build})" for build, cost in costs.items())
        yield (
            f"Under EP a token whose experts share a card takes {told} as long as one whose "
            "experts do not. [Experts that share a card](#experts-that-share-a-card)"
        )


def _stalls(found: Found) -> Iterator[str]:
    told, measured = stalled_levels(found)
    if told:
        whose = ", ".join(dict.fromkeys(map(_model_and_engine, told)))
        longest = max(value for own in told for value in own.of("stall_time"))
        yield (
            f"In {len(told)} of {len(measured)} builds and cells an engine answered nobody for a "
            f"while, up to {quantity(longest, 's')} of a window: {whose}. [Stalls](#stalls)"
        )


def _model_and_engine(own: Level) -> str:
    return f"{own.cell.family.model.short_name} with {own.cell.family.engine}"


def _noise(found: Found) -> Iterator[str]:
    own = noisy(found)
    seen = {
        words: [one.cv for level in own if (one := spread(level.of(metric))) is not None]
        for metric, words in SCATTER.items()
    }
    told = ", ".join(f"{words} {share(median(cvs))}" for words, cvs in seen.items() if cvs)
    if told:
        yield (
            "Between launches of one build scatter, in the middle one of "
            f"{counted(len(own), 'cell')} with {LEAST_LAUNCHES} launches or more (CV): {told}. "
            "[Noise](#noise)"
        )


def _range(values: Sequence[float]) -> str:
    ends = dict.fromkeys(times(chosen(values)) for chosen in (min, max))
    return " to ".join(ends)
