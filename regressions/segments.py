"""Segments: what an accepted level leaves of the nights before it. Pure.

A new level begins with few nights, and a spread that is known from a few nights is not known: a
judgement would be deaf for weeks. So the values before it are carried to the new level, which keeps
their spread; they leave the window one night after the other as new ones come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import pi, sqrt

from schema.store.values import Value
from stats.samples import median

_END = "~"
"""Later than the name of any night: those begin with a date."""


def carried(values: Sequence[Value], levels: Mapping[str, Sequence[str]]) -> list[Value]:
    """The values with those before an accepted level moved to it, in their order.

    `levels` gives the nights from which such levels hold, oldest first, by cell. Distances from the
    old median are scaled by the ratio of the medians, and widened by what is not known of the new
    one: tonight's mean of n trials scatters by s/sqrt(n) around the true level, and the median of k
    nights of n trials by sqrt(pi/2) s/sqrt(kn) (Laplace), together sqrt(1 + pi/2k) times as much.
    Where the medians have no ratio the values stay as they were.
    """
    found = list(values)
    series: dict[tuple[str, str], list[int]] = {}
    for at, one in enumerate(found):
        if one.cell in levels:
            series.setdefault((one.cell, one.metric), []).append(at)
    for (cell, _), places in series.items():
        for begun, ended in pairwise([*levels[cell], _END]):
            old = [at for at in places if found[at].night < begun]
            new = [found[at] for at in places if begun <= found[at].night < ended]
            for at, value in zip(old, _moved([found[at].value for at in old], new), strict=True):
                found[at] = replace(found[at], value=value)
    return found


def _moved(old: Sequence[float], new: Sequence[Value]) -> list[float]:
    if not old or not new:
        return list(old)
    before, after = median(old), median([one.value for one in new])
    if before <= 0 or after <= 0:
        return list(old)
    nights = len({one.night for one in new})
    scale = after / before * sqrt(1 + pi / 2 / nights)
    return [after + (value - before) * scale for value in old]
