"""Published figures, each beside those of ours that come nearest. Pure."""

from collections.abc import Iterator, Sequence

from dashboard.levels import Level, load_words, model_words
from dashboard.moe import ratio
from dashboard.parallel import contrasts
from dashboard.units import quantity, times
from schema.cells import Precision
from schema.metrics import METRICS
from schema.trials import variant_named
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import counted_launches, figure, table
from tailwatch.measurements.quoted import (
    FIGURES,
    FP8_GAIN,
    FP8_PAGE,
    GAINS,
    MIXTURE_PAGE,
    RATIOS,
    SPLIT_PAGE,
    Quoted,
)

ABSENT = "not measured yet"
CARDS = 2
"""That the published runs split each model over, by tensor parallelism alone."""
SOURCES = f"""\
From [one page]({MIXTURE_PAGE})
and, for a second card under a server, [the one before it]({SPLIT_PAGE}),
both of 12 April 2026; the gain of FP8 from [vLLM's documentation]({FP8_PAGE})."""
WHY = """\
Why ours differ:

- *Offline* was 150 requests of Llama and 100 of Mixtral at once, with 69 to 79 prompt and 128
  answer tokens, 1.8 and 4.3 s in all: much of that is the beginning and the end of a run. Beside it
  stands our largest closed loop, which is kept full.
- *Time a token* was the time of a batch over its 64 answer tokens, prefill included; ours is the
  TPOT of each request, without prefill.
- *TTFT* was 127 to 128 times the ITL beside it wherever both are told, and answers had 128 tokens.
  By its size it is the time of whole requests, and is set beside that of ours too.
- A second card gained nothing in their offline runs and 29 % of ITL under their server. Ours are
  all served; [above](#over-more-cards) is what a second card gained at every load.
- Their cards are joined by NVLink, as ours are; the version of their vLLM is not told.
- Dummy weights let routers choose almost evenly. At a middle batch that reads more experts than
  trained routers do."""


def published(found: Found) -> Iterator[str]:
    """A row for each published figure and each of ours that is nearest to it."""
    yield SOURCES
    yield ""
    titles = ("published", "figure", "ours: cards, model, build, load", "launches", "figure")
    rows = [row for one in FIGURES for row in _rows(one, found.levels)]
    yield from table((*titles, "ours / published"), rows, text=3)
    ratios = [
        (one.words, times(one.value), _apart(one.over, one.under, found.levels)) for one in RATIOS
    ]
    gain = ("ITL in bf16 over ITL in fp8, at most", times(FP8_GAIN), _fp8(found.levels))
    cards = [(one.words, one.value, _second_card(one.near, found.levels)) for one in GAINS]
    yield from table(("published ratio", "figure", "ours"), [*ratios, gain, *cards], text=3)
    yield WHY
    yield ""


def _rows(one: Quoted, levels: Sequence[Level]) -> Iterator[tuple[str, ...]]:
    unit = METRICS[one.metric].unit
    near = nearest(one, levels)
    if not near:
        yield one.words, quantity(one.value, unit), ABSENT, "", "", ""
    for own in near:
        middle = own.middle(one.metric)
        yield (
            one.words,
            quantity(one.value, unit),
            f"{_cards(own)}, {model_words(own.cell)}, {own.build}, {load_words(own.cell.workload)}",
            counted_launches(own.launches),
            figure(own.values.get(one.metric, ()), unit, own.launches),
            times(None if middle is None else middle / one.value),
        )


def nearest(one: Quoted, levels: Sequence[Level]) -> list[Level]:
    """Those over as many cards where that was measured, otherwise over any number."""
    alike = _alike(one, levels)
    return [own for own in alike if own.cell.family.tensor_parallel == CARDS] or alike


def _alike(one: Quoted, levels: Sequence[Level]) -> list[Level]:
    """bf16 on the same kind of GPU under the same load, by every build that is no variant; in the
    largest closed loop where all requests came at once."""
    alike = [
        own
        for own in levels
        if own.cell.family.gpu is one.gpu
        and own.cell.family.precision is Precision.BF16
        and own.cell.family.expert_parallel == 1
        and one.model in own.cell.family.model.name
        and not variant_named(own.build)
        and _is_load(own, one)
    ]
    if one.batch is not None or one.rate is not None:
        return alike
    most = max((own.cell.workload.concurrency or 0 for own in alike), default=0)
    return [own for own in alike if own.cell.workload.concurrency == most]


def _is_load(own: Level, one: Quoted) -> bool:
    workload = own.cell.workload
    if one.rate is not None:
        return workload.rate == one.rate
    if one.batch is not None:
        return workload.concurrency == one.batch
    return workload.concurrency is not None


def _apart(over: Quoted, under: Quoted, levels: Sequence[Level]) -> str:
    """Ours by each build over equally many cards: `x 3.45 (1 x h200, vllm 0.25.1, batch 128)`."""
    others = _alike(under, levels)
    beside = [(own, other) for own in _alike(over, levels) for other in others]
    return _ratios([one for one in beside if _place(one[0]) == _place(one[1])], over.metric)


def _place(own: Level) -> tuple[str, int]:
    return own.build, own.cell.family.tensor_parallel


def _fp8(levels: Sequence[Level]) -> str:
    """Of every cell and build that was measured in both precisions."""
    small = {_else(own): own for own in levels if own.cell.family.precision is Precision.FP8}
    plain = [own for own in levels if own.cell.family.precision is Precision.BF16]
    both = [(own, small[_else(own)]) for own in plain if _else(own) in small]
    if not both:
        return ABSENT
    largest = max(both, key=lambda one: ratio(one[0], one[1], "itl_p50") or 0.0)
    return f"{_ratios([largest], 'itl_p50')}: {model_words(largest[1].cell)}"


def _second_card(near: Quoted, levels: Sequence[Level]) -> str:
    """By each build that was measured in both splits."""
    metric = near.metric
    made = [one for own in contrasts(_alike(near, levels)) for one in own.ratios]
    return _ratios([(one.over, one.under) for one in made if one.metric == metric], metric)


def _else(own: Level) -> tuple[object, ...]:
    """All but the precision."""
    family = own.cell.family.model_copy(update={"precision": Precision.BF16})
    return family.key, own.cell.workload, own.build


def _ratios(beside: Sequence[tuple[Level, Level]], metric: str) -> str:
    return "; ".join(
        f"{times(ratio(own, other, metric))} ({_cards(own)}, {own.build}, "
        f"{load_words(own.cell.workload)}, {own.launches} and {other.launches} launches)"
        for own, other in beside
    ) or ABSENT  # fmt: skip


def _cards(own: Level) -> str:
    return f"{own.cell.family.tensor_parallel} x {own.cell.family.gpu}"
