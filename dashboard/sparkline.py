"""A series in a few characters. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median

from schema.store.values import Value
from schema.trials import Arm

_STEPS = "▁▂▃▄▅▆▇█"
MOST_NIGHTS = 24
_FLAT = 0.02
"""A range of less than this share of the median is drawn as if it were this wide: noise is low."""


def nightly_medians(values: Iterable[Value]) -> list[float]:
    """Of the nightly arm, one a night, oldest first."""
    own = [one for one in values if one.arm is Arm.NIGHTLY]
    return [
        median(one.value for one in night) for _, night in groupby(own, key=lambda one: one.night)
    ]


def sparkline(values: Sequence[float]) -> str:
    """`▁▁▁▁▇▇`: the last values between their least and their largest; empty without any."""
    shown = values[-MOST_NIGHTS:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    width = max(high - low, _FLAT * abs(median(shown)))
    if width == 0:
        return _STEPS[0] * len(shown)
    return "".join(_STEPS[round((one - low) / width * (len(_STEPS) - 1))] for one in shown)
