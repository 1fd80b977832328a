"""What each series can show, in words and as a table. Pure: words in, HTML out."""

from collections.abc import Iterable, Mapping, Sequence

from dashboard.markup import Column, Field, address, table
from dashboard.units import NONE, hours, percent
from regressions.power import MOST_TRIALS, SeriesPower
from regressions.sentences import counted, size
from schema.nights import NightKind

Price = tuple[float | None, str]
"""Hours of one launch, None where none was valid, and their unit: GPU or host."""
_POWER = (
    Column(title="Cell"),
    Column(title="Metric", hint="Opens the series"),
    Column(title="Scatter of a trial", figures=True, hint="Standard deviation; of a night below"),
    Column(title="Trials", figures=True, hint="Baseline v contender, from the next night on"),
    Column(title="Smallest change", figures=True, hint="Seen in one night with a chance of 80 %"),
    Column(title="What you would see"),
)


def sees(own: SeriesPower, change: float, price: Price) -> str:
    """`You would see +6.0 % in 2 nights; 3 more trials a night would make it 1 and cost ...`."""
    if own.scatter is None:
        return (
            "Cannot tell: no night has two trials to tell their scatter by, or a value is not "
            f"above 0; the policy asks for {own.min_trials} trials a side."
        )
    nights = own.nights_to_see(change, own.trials)
    more = _more(own, change, price, now=nights)
    if nights is not None:
        return f"You would see {percent(change)} in {counted(nights, 'night')}{more}."
    if abs(change) <= own.min_change:
        return f"The policy tells no change below {size(own.min_change)}."
    if not own.is_judgeable:
        return f"{_sizes(own)} trials can show no change at all{more}."
    within = counted(own.most_nights, "night")
    return f"{_sizes(own)} trials would not show {percent(change)} within {within}{more}."


def _more(own: SeriesPower, change: float, price: Price, now: int | None) -> str:
    """What further trials would do; each costs one launch a side, which serves its whole family."""
    found = own.more(change)
    if found is None:
        never = f"; nor would up to {MOST_TRIALS} trials a night show {percent(change)}"
        return "" if now is not None else never
    extra, nights = found
    sides, where, every = 1, "a night", " a night"
    if own.kind is NightKind.RELEASE:
        sides, where, every = 2, "a side", ""
    launch, unit = price
    cost = "" if launch is None else f" and cost {hours(extra * sides * launch, unit)}{every}"
    shows = f"show {percent(change)} in {counted(nights, 'night')}"
    does = f"make it {nights}" if now else shows
    return f"; {counted(extra, 'more trial')} {where} would {does}{cost}"


def _sizes(own: SeriesPower) -> str:
    return f"{own.nights * own.trials} v {own.trials}"


def worst_first(
    series: Iterable[SeriesPower], changes: Mapping[tuple[str, str], float]
) -> list[SeriesPower]:
    """Those that never see the change asked of them, then by nights; the noisiest of them first.

    Last, where the policy does not care for so small a change.
    """

    def place(own: SeriesPower) -> tuple[bool, bool, int, float]:
        change = changes[own.cell, own.metric]
        nights = own.nights_to_see(change, own.trials)
        noise = own.scatter.of_mean(own.trials) if own.scatter else 0.0
        ignored = nights is None and abs(change) <= own.min_change
        return ignored, nights is not None, -(nights or 0), -noise / own.min_change

    return sorted(series, key=place)


def power_table(
    series: Iterable[SeriesPower],
    changes: Mapping[tuple[str, str], float],
    names: Mapping[str, str],
    prices: Mapping[str, Price],
    *,
    name: str,
) -> str:
    """A row a series; `prices` has what a launch costs that serves a cell."""
    rows = [_power(own, changes[own.cell, own.metric], names, prices[own.cell]) for own in series]
    return table(_POWER, rows, name=name)


def _power(
    own: SeriesPower, change: float, names: Mapping[str, str], price: Price
) -> Sequence[Field]:
    trial, night = NONE, "not known"
    if own.scatter is not None:
        trial = _plain(own.scatter.trial)
        night = night if own.scatter.night is None else _plain(own.scatter.night)
    return (
        Field(
            text=names.get(own.cell, own.cell),
            tone="inconclusive" if own.is_too_noisy or not own.is_judgeable else None,
        ),
        Field(text=own.metric, link=address("series", cell=own.cell, metric=own.metric), code=True),
        Field(text=trial, below=f"night {night}"),
        Field(text=_sizes(own), below=own.kind),
        Field(text=percent(own.smallest(own.trials))),
        Field(text=sees(own, change, price)),
    )


def _plain(share: float) -> str:
    return f"{100 * share:.2f} %" if share < 0.01 else f"{100 * share:.1f} %"
