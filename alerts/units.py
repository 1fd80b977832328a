"""Measured values as people read them: base units come in, text with a unit goes out."""

NO_VALUE = "\N{EN DASH}"

STEPS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB")),
    "J/tok": ((1.0, "J/tok"), (1e-3, "mJ/tok")),
}


def pair(baseline: float | None, contender: float | None, unit: str) -> str:
    """`11.20 → 12.34 ms`: both in one unit; a side without a value is a dash, never 0."""
    largest = max((abs(value) for value in (baseline, contender) if value is not None), default=0)
    steps = STEPS.get(unit, ((1.0, "" if unit == "1" else unit),))
    factor, label = next((step for step in steps if largest >= step[0]), steps[-1])
    sides = [
        NO_VALUE if value is None else _number(value / factor) for value in (baseline, contender)
    ]
    return f"{sides[0]} → {sides[1]} {label}".rstrip()


def _number(value: float) -> str:
    """Four significant digits, thousands grouped, integers from 1000 on."""
    if value == 0:
        return "0"
    before_point = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{max(0, 4 - before_point)}f}"
