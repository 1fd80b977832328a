"""A policy in shadow beside what was told. Pure: words in, HTML out."""

from collections.abc import Iterable, Mapping, Sequence

from dashboard.markup import Column, Field, address, table
from regressions.meters import FalseAlarms, crossed
from regressions.policy import Policy
from regressions.sentences import counted, size
from schema.judgements import Verdict
from schema.store.silent import TwoVerdicts

_DIFFERENCES = (
    Column(title="Night", short=True),
    Column(title="Cell"),
    Column(title="Metric", hint="Opens the comparison"),
    Column(title="Told"),
    Column(title="Shadow"),
)


def shadow_line(both: Sequence[TwoVerdicts], shadow: FalseAlarms, policy: Policy) -> str:
    """How far apart the two are, and what the shadow costs in false alarms."""
    apart = sum(one.told is not one.shadow for one in both)
    nights = counted(len({one.night for one in both}), "night")
    said = f"{apart} of {counted(len(both), 'verdict')} in {nights} differ."
    if shadow.rate is None:
        return f"{said} False alarms of the shadow: cannot tell without a control arm."
    low, high = shadow.interval(policy.confidence)
    return (
        f"{said} The shadow raised a false alarm in {shadow.nights_with_alarm} of "
        f"{counted(shadow.nights, 'control night')} "
        f"({size(policy.confidence)} interval {size(low)} to {size(high)})."
    )


def crossed_table(both: Sequence[TwoVerdicts]) -> str:
    """How often a verdict that was told meets each verdict of the shadow."""
    counts = crossed(both)
    columns = (
        Column(title="Told \\ shadow"),
        *(Column(title=word.capitalize(), figures=True) for word in Verdict),
    )
    rows = [
        (
            Field(text=told.capitalize(), tone=told),
            *(Field(text=str(counts.get((told, shadow), 0))) for shadow in Verdict),
        )
        for told in Verdict
    ]
    return table(columns, rows, name="told and shadow")


def difference_table(both: Iterable[TwoVerdicts], names: Mapping[str, str]) -> str:
    """A row a comparison in which the two differ, the newest night first."""
    rows = [
        (
            Field(text=own.night),
            Field(text=names.get(own.cell, own.cell_slug)),
            Field(
                text=own.metric,
                link=address("compare", night=own.night, cell=own.cell, metric=own.metric),
                code=True,
            ),
            Field(text=own.told, tone=own.told, below=own.told_reason),
            Field(text=own.shadow, tone=own.shadow, below=own.shadow_reason),
        )
        for own in both
    ]
    return table(_DIFFERENCES, rows, name="where they differ")
