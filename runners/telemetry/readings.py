"""What readings tell of a span of time. Pure; moments are seconds since the launch."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from runners.cards import SLOWING
from schema.trials import Telemetry

LONGEST_GAP_S = 2.0
"""Readings come every 0.2 s. What happened in a longer silence is not known."""
CPU = "cpu"


def unseen(readings: Sequence[Telemetry], device: str, begin_s: float, end_s: float) -> str | None:
    """Why a device was not watched all through a span; None when it was."""
    inside = [r.at_s for r in readings if r.device == device and begin_s <= r.at_s <= end_s]
    gap, since = max(
        (later - one, one) for one, later in pairwise([begin_s, *inside, max(begin_s, end_s)])
    )
    if gap <= LONGEST_GAP_S:
        return None
    return f"no reading of {device} for {gap:.1f} s, from {since:.1f} s after the launch on"


def peak_memory(readings: Sequence[Telemetry], devices: Sequence[str]) -> dict[str, float]:
    """Highest memory seen on each of the devices that tell it, B."""
    peaks: dict[str, float] = {}
    for one in readings:
        if one.device in devices and one.memory_bytes:
            peaks[one.device] = max(peaks.get(one.device, 0.0), float(one.memory_bytes))
    return peaks


def energy_j(
    readings: Sequence[Telemetry], uuids: Sequence[str], begin_s: float, end_s: float
) -> float | None:
    """Energy of all cards in a span, from their counters; None unless every card has one.

    A counter is interpolated linearly between the readings beside each end of the span.
    """
    spent = [_spent(readings, uuid, begin_s, end_s) for uuid in uuids]
    known = [energy for energy in spent if energy is not None]
    return sum(known) if known and len(known) == len(spent) else None


def _spent(readings: Sequence[Telemetry], uuid: str, begin_s: float, end_s: float) -> float | None:
    counter = [
        (r.at_s, r.energy_j) for r in readings if r.device == uuid and r.energy_j is not None
    ]
    begin, end = (_at(counter, moment) for moment in (begin_s, end_s))
    return end - begin if begin is not None and end is not None and end >= begin else None


def _at(counter: Sequence[tuple[float, float]], moment: float) -> float | None:
    """The counter at a moment; None outside of what was read."""
    for (one, low), (later, high) in pairwise(counter):
        if one <= moment <= later:
            return low + (high - low) * (moment - one) / (later - one) if later > one else high
    return None


def busy(
    readings: Sequence[Telemetry], uuids: Sequence[str], begin_s: float, end_s: float
) -> float | None:
    """Share of a span in which a card ran a kernel, 0..1, mean over the cards; None unless every
    card tells it.

    NVML's `utilization.gpu` looks back over up to a second, so spans of some seconds are meant.
    """
    told = [
        [
            one.utilisation
            for one in readings
            if one.device == uuid and begin_s <= one.at_s <= end_s and one.utilisation is not None
        ]
        for uuid in uuids
    ]
    return fmean(map(fmean, told)) if told and all(told) else None


def throttle_reasons(
    readings: Sequence[Telemetry], uuids: Sequence[str], begin_s: float, end_s: float
) -> int | None:
    """OR of the clock event reasons that slow a card down; None where a card does not tell them."""
    bits = 0
    for uuid in uuids:
        told = [
            r.throttle_reasons
            for r in readings
            if r.device == uuid and begin_s <= r.at_s <= end_s and r.throttle_reasons is not None
        ]
        if not told:
            return None
        for one in told:
            bits |= one & SLOWING
    return bits
