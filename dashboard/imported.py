"""Imported series in words, and as small pictures side by side. Pure: words in, HTML out."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from statistics import median

from dashboard import colours
from dashboard.markup import address
from dashboard.units import NONE, percent, quantity
from regressions.sentences import counted
from schema.imports import Definition, Subject, Tool
from schema.metrics import Direction
from schema.store.imported_series import ImportedSeries, ImportSummary

NOTHING_IMPORTED = (
    "Nothing was imported yet: `tailwatch import FILE...` reads what vLLM's, SGLang's and other "
    "people's benchmarks wrote."
)
WIDTH, HEIGHT = 168, 34
LEAST_BEFORE = 3
"""Values before the last one that a change is told against."""
WAYS = {Direction.HIGHER: "higher is better", Direction.LOWER: "lower is better"}


def points_line(valid: int, wrong: int) -> str:
    """What the marks of an imported series are."""
    marked = f"; crosses mark {wrong:,} that failed or are invalid" if wrong else ""
    return f"{counted(valid, 'valid trial')}{marked}. No verdict is drawn from imported values."


def series_line(series: int, found: int, shown: int, least: int) -> str:
    """How many series there are, how many the search left, and how many are drawn."""
    of_them = f", {found:,} match the search" if found < series else ""
    return (
        f"{series:,} series{of_them}; {shown:,} drawn, with at least {counted(least, 'value')}, "
        "most values first. Each picture goes from its least to its largest value; the percentage "
        "is the last value against the median of those before. No verdict is drawn."
    )


def tool_line(own: ImportSummary) -> str:
    """What was imported of one tool."""
    wrong = f", {own.not_valid:,} not valid" if own.not_valid else ""
    return f"{own.tool}: {counted(own.trials, 'trial')} of {counted(own.files, 'file')}{wrong}"


def definition_line(meaning: Definition) -> str:
    """`inter_token_latency_ms.mean` of guidellm (schema 2): mean of ..., in s, lower is better."""
    schema = f" (schema {meaning.generation})" if meaning.generation else ""
    way = f", {WAYS[meaning.direction]}" if meaning.direction else ""
    ours = (
        f" Defined as our `{meaning.metric}`; kept apart from it all the same."
        if meaning.metric
        else " No metric of ours is defined like this."
    )
    name = f"`{meaning.name}` of {meaning.tool}{schema}"
    return f"{name}: {meaning.words}, in {meaning.unit}{way}.{ours}"


def subject_title(facts: Subject) -> str:
    """Model and engine: what a group of series shares."""
    return " · ".join(part for part in (facts.model, facts.engine) if part) or "model not told"


def subject_line(facts: Subject) -> str:
    """The rest: `1,024 → 1,024 tokens, 64 in flight, 8 GPUs, AMD Instinct MI355X`."""
    lengths = None
    if facts.input_tokens or facts.output_tokens:
        lengths = f"{_length(facts.input_tokens)} → {_length(facts.output_tokens)} tokens"
    parts = [
        lengths,
        facts.concurrency and f"{facts.concurrency} in flight",
        facts.request_rate and f"{facts.request_rate:g} req/s",
        facts.requests and f"{facts.requests:,} requests",
        facts.precision,
        facts.tensor_parallel and f"TP {facts.tensor_parallel}",
        facts.gpus and counted(facts.gpus, "GPU"),
        facts.gpu,
        facts.dataset,
        *(f"{name} {text}" for name, text in facts.further),
    ]
    return ", ".join(part for part in parts if part) or "nothing told"


def last_change(values: Sequence[float]) -> float | None:
    """The last value against the median of those before; None with too few of them."""
    if len(values) <= LEAST_BEFORE:
        return None
    before = median(values[:-1])
    return values[-1] / before - 1 if before else None


def matching(series: Iterable[ImportedSeries], words: str) -> list[ImportedSeries]:
    """Those whose subject has every one of the words, in any case."""
    wanted = words.lower().split()
    return [
        own
        for own in series
        if all(
            word in f"{subject_title(own.facts)} {subject_line(own.facts)}".lower()
            for word in wanted
        )
    ]


def gallery(series: Iterable[ImportedSeries], tool: Tool) -> str:
    """A small picture for each series, grouped by model and engine."""
    named = sorted(series, key=lambda own: (subject_title(own.facts), _place(own.facts)))
    return "".join(
        f'<h3 class="tw-group">{escape(title)}</h3><div class="tw-gallery">'
        f"{''.join(_card(own, tool) for own in group)}</div>"
        for title, group in groupby(named, key=lambda own: subject_title(own.facts))
    )


def _card(own: ImportedSeries, tool: Tool) -> str:
    link = address("imported", tool=tool, subject=own.subject, definition=own.definition)
    change = last_change(own.recent)
    wrong = f"<em>{own.not_valid} not valid</em>" if own.not_valid else ""
    told = NONE if change is None else percent(change)
    return (
        f'<a class="tw-card" href="{escape(link)}" target="_self">'
        f"<span>{escape(subject_line(own.facts))}</span>"
        f'<img src="{sparkline(own.recent)}" alt="its values"/>'
        f"<b>{escape(quantity(own.recent[-1], own.meaning.unit))}</b>"
        f"<i>{escape(told)}</i><small>{own.values} values {wrong}</small></a>"
    )


def sparkline(values: Sequence[float]) -> str:
    """The values one after the other between their least and largest, the last one marked.

    As the address of a picture: Streamlit lets no drawing into its HTML.
    """
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (WIDTH - 8) / max(1, len(values) - 1)
    places = [
        (4 + at * step, HEIGHT - 4 - (value - low) / span * (HEIGHT - 8))
        for at, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<polyline points="{line}" fill="none" stroke="{colours.BLUE}" stroke-width="1.4"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colours.BLUE}"/></svg>'
    )
    return f"data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()}"


def _place(facts: Subject) -> tuple[float, float, float, str]:
    return (
        facts.input_tokens or 0,
        facts.output_tokens or 0,
        facts.concurrency or facts.request_rate or 0,
        subject_line(facts),
    )


def _length(tokens: float | None) -> str:
    return f"{tokens:,.0f}" if tokens else "?"
