"""Numbers as people read them. Base units come in; scaled text with its unit goes out."""

from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
"""Stands for a value that does not exist. Never 0."""
LEAST_SHOWN_P = 0.0001

_STEPS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    "J/tok": ((1.0, "J/tok"), (1e-3, "mJ/tok")),
}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values of one column or axis are shown: divided by `factor`, labelled `label`."""

    factor: float
    label: str

    def text(self, value: float) -> str:
        return f"{number(value / self.factor)} {self.label}".rstrip()


def scale(unit: str, *values: float | None) -> Scale:
    """The scale that makes the largest of `values` readable; the base unit without values."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if unit == "1":
        return Scale(factor=1.0, label="")
    steps = _STEPS.get(unit, ((1.0, unit),))
    if largest == 0:
        return Scale(factor=steps[0][0], label=steps[0][1])
    for factor, label in steps:
        if largest >= factor:
            return Scale(factor=factor, label=label)
    return Scale(factor=steps[-1][0], label=steps[-1][1])


def number(value: float) -> str:
    """Four significant digits, thousands grouped; integers from 1000 on."""
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    decimals = max(0, 4 - magnitude) if magnitude else 4
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def quantity(value: float | None, unit: str) -> str:
    """`0.0412, "s"` -> `41.20 ms`. None is a dash, never 0."""
    if value is None:
        return NONE
    return scale(unit, value).text(value)


def pair(baseline: float | None, contender: float | None, unit: str) -> str:
    """`41.20 → 44.10 ms`: both in one unit, so that they can be compared at a glance."""
    shared = scale(unit, baseline, contender)
    sides = [
        NONE if value is None else number(value / shared.factor) for value in (baseline, contender)
    ]
    return f"{sides[0]} → {sides[1]} {shared.label}".rstrip()


def percent(change: float | None) -> str:
    """`0.032` -> `+3.2 %`; two decimals below 1 %, where memory changes live."""
    if change is None:
        return NONE
    decimals = 1 if abs(change) >= 0.01 else 2
    if round(change * 100, decimals) == 0:
        return "0.0 %"
    return f"{change * 100:+.{decimals}f} %".replace("-", MINUS)


def share(part: float) -> str:
    """`0.0039` -> `0.39 %`."""
    return percent(part).removeprefix("+")


def plus_minus(cv: float) -> str:
    """`0.0039` -> `±0.39 %`: a coefficient of variation behind what it belongs to."""
    return f"\N{PLUS-MINUS SIGN}{share(cv)}"


def times(ratio: float | None) -> str:
    """`0.6` -> `x 0.60`, with the sign of multiplication."""
    return NONE if ratio is None else f"\N{MULTIPLICATION SIGN} {ratio:.2f}"


def interval(bounds: tuple[float, float] | None) -> str:
    return NONE if bounds is None else f"{percent(bounds[0])} to {percent(bounds[1])}"


def probability(p: float | None) -> str:
    """Two significant digits."""
    if p is None:
        return NONE
    return f"< {LEAST_SHOWN_P}" if p < LEAST_SHOWN_P else f"{p:.2g}"


def duration(seconds: float | None) -> str:
    """`6.31` -> `6.3 s`, `80` -> `1 min 20 s`."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def hours(value: float | None, unit: str) -> str:
    """`1.4 GPU-hours`, two digits at least; below a tenth in minutes. `unit` is GPU or host."""
    if value is None:
        return NONE
    if value < 0.1:
        return f"{60 * value:.1f} {unit}-minutes"
    return f"{value:.2f} {unit}-hours" if value < 1 else f"{value:,.1f} {unit}-hours"
