"""The tables of the pages. Pure: words in, HTML out."""

from collections.abc import Iterable, Mapping, Sequence

from dashboard.markup import Column, Field, address, table
from dashboard.sentences import further_warnings, sizes
from dashboard.units import NONE, duration, interval, pair, percent, probability, quantity
from regressions.sentences import some
from regressions.undecided import Undecided
from schema.cells import Cell
from schema.judgements import Judgement
from schema.metrics import METRICS
from schema.store.imported_series import ImportedPoint
from schema.store.trials import TrialSummary
from schema.store.values import Value
from schema.trials import Check

_CHANGES = (
    Column(title="Cell"),
    Column(title="Metric", hint="Opens the trials behind the change"),
    Column(title="Baseline → contender", figures=True, hint="Medians over trials"),
    Column(title="Change", figures=True, hint="Hodges-Lehmann shift, its exact interval below"),
    Column(title="p, exact", figures=True, hint="Mann-Whitney; adjusted for the night below"),
    Column(title="Trials", figures=True, hint="Baseline v contender"),
    Column(title="Warnings"),
    Column(title="History"),
)
_UNDECIDED = (Column(title="Cell"), Column(title="Metrics"), Column(title="Why not"))
_IMPORTED = (
    Column(title="Measured", hint="Or published, where only that is told; UTC"),
    Column(title="Value", figures=True),
    Column(title="State"),
    Column(title="Build"),
    Column(title="File and line"),
)
_TRIALS = (
    Column(title="Trial"),
    Column(title="Cell"),
    Column(title="Build"),
    Column(title="Arm, replicate"),
    Column(title="Attempt", figures=True),
    Column(title="Reason"),
)


def changes(judgements: Iterable[Judgement], names: Mapping[str, str], *, name: str) -> str:
    """A row a judgement, its cell named once; the metric links to its evidence."""
    rows, last = [], None
    for own in judgements:
        rows.append(_change(own, names, named=own.comparison.cell != last))
        last = own.comparison.cell
    return table(_CHANGES, rows, name=name)


def imported(points: Sequence[ImportedPoint], unit: str) -> str:
    """Every trial of an imported series, the newest first."""
    return table(_IMPORTED, [_imported(own, unit) for own in reversed(points)], name="imported")


def _imported(own: ImportedPoint, unit: str) -> Sequence[Field]:
    measured, committed = (
        time.isoformat(" ", "minutes") if time else NONE
        for time in (own.measured_at, own.committed_at)
    )
    return (
        Field(text=measured, below=f"committed {committed}" if own.committed_at else ""),
        Field(text=quantity(own.value, unit)),
        Field(text=own.state, tone=own.state, below=own.reason or ""),
        Field(text=own.build or NONE, code=True, below=own.image or ""),
        Field(text=f"{own.file.rpartition('/')[2]}:{own.line}", code=True),
    )


def undecided(rows: Iterable[Undecided], names: Mapping[str, str], night: str) -> str:
    """A row a reason; it links to the comparison of its first cell and metric."""
    return table(_UNDECIDED, [_open(own, names, night) for own in rows], name="not decided")


def _open(own: Undecided, names: Mapping[str, str], night: str) -> Sequence[Field]:
    cells = [names.get(cell, cell) for cell in own.cells]
    link = address("compare", night=night, cell=own.cells[0], metric=own.metrics[0])
    lone = len(cells) == 1
    return (
        Field(
            text=cells[0] if lone else f"{len(cells)} cells",
            below="" if lone else some(cells, 4),
            link=link,
            tone="inconclusive",
        ),
        Field(text=", ".join(own.metrics)),
        Field(text=own.reason),
    )


def trials(rows: Iterable[TrialSummary], names: Mapping[str, str], *, name: str) -> str:
    """A row a trial; its state links to it."""
    return table(_TRIALS, [_trial(own, names) for own in rows], name=name)


def unmeasured(cells: Iterable[Cell]) -> str:
    rows = [(Field(text=cell.slug, code=True, tone="failed"),) for cell in cells]
    return table((Column(title="Planned cell without a trial"),), rows, name="without trials")


def metrics(measurements: Mapping[str, float], not_estimable: Mapping[str, str], cell: str) -> str:
    """Every metric that was measured or says why it was not, in reading order."""
    columns = (
        Column(title="Metric"),
        Column(title="Value", figures=True),
        Column(title="Definition"),
    )
    rows = [
        (
            Field(text=name, link=address("series", cell=cell, metric=name), code=True),
            Field(text=quantity(measurements.get(name), metric.unit)),
            Field(
                text=metric.definition,
                below="" if name in measurements else f"not estimable: {not_estimable[name]}",
            ),
        )
        for name, metric in METRICS.items()
        if name in measurements or name in not_estimable
    ]
    return table(columns, rows, name="metrics")


def checks(rows: Iterable[Check]) -> str:
    """What the trial had to meet, failed ones first."""
    columns = (
        Column(title="Check"),
        Column(title="Observed", figures=True),
        Column(title="Limit", figures=True),
        Column(title="Note"),
    )
    fields = [
        (
            Field(
                text=f"{own.name}: {'passed' if own.passed else 'failed'}",
                tone="passed" if own.passed else "failed",
            ),
            Field(text=quantity(own.observed, own.unit)),
            Field(text=quantity(own.limit, own.unit)),
            Field(text=own.note),
        )
        for own in sorted(rows, key=lambda own: own.passed)
    ]
    return table(columns, fields, name="checks")


def phases(seconds: Mapping[str, float]) -> str:
    columns = (Column(title="Phase"), Column(title="Time", figures=True))
    rows = [(Field(text=name), Field(text=duration(own))) for name, own in seconds.items()]
    return table(columns, rows, name="phases")


def _change(own: Judgement, names: Mapping[str, str], *, named: bool) -> Sequence[Field]:
    found = own.comparison
    chosen = {"cell": found.cell, "metric": found.metric}
    adjusted = probability(found.p_adjusted)
    return (
        Field(text=names.get(found.cell, found.cell) if named else "", tone=own.verdict),
        Field(text=found.metric, link=address("compare", night=found.night, **chosen), code=True),
        Field(text=pair(found.baseline.median, found.contender.median, METRICS[found.metric].unit)),
        Field(text=percent(found.change), below=interval(found.interval)),
        Field(text=probability(found.p), below=f"adjusted {adjusted}"),
        Field(text=sizes(found)),
        Field(text="; ".join(further_warnings(found, own)) or NONE),
        Field(text="series", link=address("series", **chosen)),
    )


def _trial(own: TrialSummary, names: Mapping[str, str]) -> Sequence[Field]:
    return (
        Field(text=own.state, link=address("trial", trial=own.key), tone=own.state),
        Field(text=names.get(own.cell, own.cell_slug)),
        Field(text=own.build_name),
        Field(text=f"{own.arm} #{own.replicate}"),
        Field(text=str(own.attempt)),
        Field(
            text=own.reason or "",
            below="replaced by a later valid attempt" if own.replaced else "",
        ),
    )


def values(rows: Sequence[Value]) -> str:
    """A row a value, newest night first."""
    columns = (
        Column(title="Night"),
        Column(title="Build"),
        Column(title="Arm, replicate"),
        Column(title="Value", figures=True),
    )
    fields = [
        (
            Field(text=own.night, link=address("trial", trial=own.trial)),
            Field(text=own.build_name),
            Field(text=f"{own.arm} #{own.replicate}"),
            Field(text=quantity(own.value, METRICS[own.metric].unit)),
        )
        for own in reversed(rows)
    ]
    return table(columns, fields, name="values")
