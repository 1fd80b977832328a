"""The document of measurements, section by section. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from dashboard.levels import LEAST_LAUNCHES
from regressions.sentences import counted
from schema.models import Weights
from tailwatch.measurements.comparisons import comparisons
from tailwatch.measurements.experts import expert_balance
from tailwatch.measurements.flags import shared_flags
from tailwatch.measurements.found import Found
from tailwatch.measurements.loads import loads, overview
from tailwatch.measurements.markdown import table
from tailwatch.measurements.memory import memory_table
from tailwatch.measurements.more_cards import over_more_cards
from tailwatch.measurements.noise import explained, noise
from tailwatch.measurements.plans import how_made
from tailwatch.measurements.published import published
from tailwatch.measurements.short import in_short
from tailwatch.measurements.sparse import sparse_beside_dense
from tailwatch.measurements.stalls import stalled

CAPTIONS = {
    "batch": "Throughput and median ITL over the number of requests in flight",
    "rate": "Median and 99th percentile of ITL over the request rate",
    "memory": "Where the memory of the fullest card went",
    "experts": "Share of selections of each expert and layer; white is even",
    "noise": "Coefficients of variation between launches, with intervals",
}
"""Of each picture, by the last word of its file."""

HOW_TO_READ = f"""\
Every figure is computed from what the database holds. One value counts a launch: an engine that was
started afresh, warmed up, measured and checked. A figure is the median over launches, what follows
it (\N{PLUS-MINUS SIGN}) their coefficient of variation; fewer than {LEAST_LAUNCHES} launches have
no spread, and the row says so. A number in brackets says that only so many launches could estimate
the value; a dash that none could, because [it needs more requests or gaps](metrics.md). Each launch
draws prompts and arrivals of its own, so the throughput of an open loop also tells how long its
arrivals happened to take. ITL is the gap between successive tokens, its mean taken from the stored
requests."""

SPARSE = """\
Medians over launches; a ratio is the sparse model's over the dense one's. The *tail* is P99 / P50
of ITL. *Per GPU memory* is throughput per GB of the cards' peaks, which engines fill with KV cache
whatever the model. *Experts read* is how many of a layer's experts a batch chooses together if all
are chosen evenly, E (1 - (1 - k/E)^b): the weights that a step reads. A curve *bends* in the step
between two measured batches where a doubling of the batch gains least throughput."""


def document(found: Found, pictures: Mapping[str, str], command: str) -> str:
    """`pictures` has the address of each by the last word of its file; `command` made it all."""
    lines = [
        "# Measurements",
        "",
        f"Made by `{command}`; a change by hand is lost when it runs again.",
        "",
        HOW_TO_READ,
        "",
        _weights(found),
        "",
    ]
    for title, body in _sections(found, pictures):
        lines += [f"## {title}", "", *body]
    return "\n".join(lines).rstrip() + "\n"


def _sections(found: Found, pictures: Mapping[str, str]) -> Iterator[tuple[str, Sequence[str]]]:
    def shown(*names: str) -> list[str]:
        drawn = [own for own in names if own in pictures]
        return [line for own in drawn for line in (f"![{CAPTIONS[own]}]({pictures[own]})", "")]

    yield "In short", list(in_short(found))
    yield "What was launched", [*overview(found), *shared_flags(found.commands)]
    yield "Loads", [*shown("batch", "rate"), *loads(found)]
    yield "Memory", [*shown("memory"), *memory_table(found)]
    yield "Noise", [explained(found), "", *shown("noise"), *noise(found), *stalled(found)]
    yield "Comparisons", list(comparisons(found))
    yield "Sparse beside dense", [SPARSE, "", *sparse_beside_dense(found)]
    experts = list(expert_balance(found))
    if experts:
        yield "Expert balance", [*shown("experts"), *experts]
    yield "Over more cards", list(over_more_cards(found))
    yield "Published figures", list(published(found))
    yield "How each night was made", list(how_made(found))
    yield "What counts for nothing", list(_left_out(found))


def _weights(found: Found) -> str:
    """Which models had made-up weights."""
    models = {own.cell.family.model.name: own.cell.family.model for own in found.levels}
    dummy = sorted(own.short_name for own in models.values() if own.weights is Weights.DUMMY)
    if not dummy:
        return "All weights are those of the checkpoints."
    return (
        f"Weights of {' and '.join(dummy)} are **dummy**, of the true shape: speed, memory and "
        "energy are those of the models, the balance of experts is not, and answers mean nothing."
    )


def _left_out(found: Found) -> Iterator[str]:
    """Trials that failed or are invalid, each with its reason, and cells without any trial."""
    total = counted(len(found.trials), "trial")
    if not found.left_out:
        yield f"None of the {total} failed or is invalid."
        yield ""
    else:
        rows = [
            (own.night, f"`{own.cell_slug}`", own.build_name, own.state, own.reason or "")
            for own in found.left_out
        ]
        yield f"{len(rows)} of {total}:"
        yield ""
        yield from table(("night", "cell", "build", "state", "reason"), rows, text=5)
    for night, cells in found.untried.items():
        if cells:
            yield f"- {night} planned {counted(len(cells), 'cell')} that it never tried."
    short = [own for own in found.nights if own.launches < own.launches_planned]
    for own in short:
        yield f"- {own.name} made {own.launches} of {own.launches_planned} planned launches."
    yield ""
