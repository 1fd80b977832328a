"""What was measured, family by family and load by load."""

from collections.abc import Iterator, Sequence

from dashboard.hosts import link_words
from dashboard.levels import Level, families, load_words, model_words
from dashboard.units import NONE
from regressions.sentences import counted
from schema.metrics import METRICS
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import counted_launches, figure, table

COLUMNS = {
    "output_throughput": "throughput",
    "itl_mean": "ITL mean",
    "itl_p50": "ITL P50",
    "itl_p99": "ITL P99",
    "tail_ratio_itl": "P99 / P50",
    "ttft_p50": "TTFT P50",
    "ttft_p90": "TTFT P90",
    "energy_per_token": "energy",
    "gpu_busy": "cards busy",
}
"""Metrics in the order of their columns; the mean is computed from the stored requests."""


def overview(found: Found) -> Iterator[str]:
    """A row a family and build: how often, where and under which driver it was launched."""
    titles = ("GPU", "model", "build", "launches", "nights", "host, card, driver, CUDA")
    rows = [_launched(own, found) for own in families(found.levels)]
    yield from table(titles, rows, text=len(titles))


def _launched(own: Sequence[Level], found: Found) -> tuple[str, ...]:
    trials = [found.trials[key] for level in own for key in level.trials]
    hosts = dict.fromkeys(_host(found, trial.fingerprint) for trial in trials)
    nights = {trial.night for trial in trials}
    return (
        own[0].cell.family.gpu,
        model_words(own[0].cell),
        own[0].build,
        str(len({trial.launch for trial in trials})),
        str(len(nights)),
        "; ".join(hosts),
    )


def _host(found: Found, fingerprint: str) -> str:
    host = found.hosts[fingerprint]
    cards = ", ".join(dict.fromkeys(card.name for card in host.cards))
    if not cards:
        return host.name
    joined = "".join(f" by {words}" for words in dict.fromkeys(map(link_words, host.links)))
    versions = [f"driver {host.driver or NONE}", f"CUDA {host.cuda or NONE}"]
    versions += [f"NCCL {host.nccl}"] if host.nccl else []
    return ", ".join([host.name, f"{len(host.cards)} x {cards}{joined}", *versions])


def loads(found: Found) -> Iterator[str]:
    """A table for each family and build."""
    for own in families(found.levels):
        yield f"### {own[0].cell.family.gpu}: {model_words(own[0].cell)}, {own[0].build}"
        yield ""
        yield _asked(own)
        yield ""
        titles = ("load", "launches", *COLUMNS.values())
        yield from table(titles, [_row(level, found) for level in own])


def _asked(own: Sequence[Level]) -> str:
    """What the loads of a family share."""
    lengths = dict.fromkeys(_lengths(level) for level in own)
    nights = dict.fromkeys(night for level in own for night in level.nights)
    return f"{', '.join(lengths)}. {counted(len(nights), 'night')}: {', '.join(nights)}."


def _lengths(level: Level) -> str:
    workload = level.cell.workload
    sizes = (workload.input_tokens, workload.output_tokens)
    prompt, answer = (f"{own.mean:g}" for own in sizes)
    return f"Prompts of {prompt} and answers of {answer} tokens"


def _row(level: Level, found: Found) -> tuple[str, ...]:
    return (
        load_words(level.cell.workload),
        counted_launches(level.launches),
        *(figure(*_values(level, metric, found), level.launches) for metric in COLUMNS),
    )


def _values(level: Level, metric: str, found: Found) -> tuple[Sequence[float], str]:
    """One value a launch, and their unit."""
    if metric == "itl_mean":
        return found.means(level), "s"
    return level.values.get(metric, ()), METRICS[metric].unit
