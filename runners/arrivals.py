"""When the requests of an open loop are sent, drawn before the first one is. Pure."""

import math
import random
from collections.abc import Sequence
from itertools import accumulate
from statistics import fmean

from schema.arrivals import Arrival, Pattern, RampShape
from schema.cells import Workload


def arrivals(
    workload: Workload, source: random.Random, recorded_s: Sequence[float | None] = ()
) -> list[float]:
    """Seconds after the window begins, one a request: 0 first. All 0 where no times are asked.

    Drawn gaps are rescaled so that the last request comes when the rate says: else the throughput
    of a short window would be that of its draw. So the mean gap is exactly 1/rate, and of a ramp
    exactly 1/(the rate's mean over the window). Recorded times are kept as they are, from the
    first request on, divided by `speed_up`: what they say about bursts is why they are used.
    """
    if workload.arrival is not Arrival.OPEN_LOOP:
        return [0.0] * workload.requests
    if workload.rate is None:
        times = [at for at in recorded_s if at is not None]
        return [(at - times[0]) / workload.speed_up for at in times]
    gaps = [_gap(workload, source) for _ in range(workload.requests - 1)]
    mean = fmean(gaps) if gaps else 1.0
    steps = accumulate((gap / mean for gap in gaps), initial=0.0)
    last = max(1, workload.requests - 1)
    return [_when(workload, workload.rate, step / last, last) for step in steps]


def _gap(workload: Workload, source: random.Random) -> float:
    """Of mean 1. Gamma with shape k and scale 1/k has the coefficient of variation 1/sqrt(k)."""
    if workload.pattern is Pattern.CONSTANT:
        return 1.0
    if workload.burstiness is not None:
        return source.gammavariate(workload.burstiness, 1 / workload.burstiness)
    return source.expovariate(1.0)


def _when(workload: Workload, rate: float, share: float, last: int) -> float:
    """The moment by which this share of all gaps has passed, s; `last` is the number of gaps.

    Under a ramp the rate is a function of time, r(t) on 0..T, and the moment t solves
    integral of r from 0 to t = share * last, with T such that the whole integral is `last`.
    """
    if workload.ramp is None:
        return share * last / rate
    to = workload.ramp.to
    if workload.ramp.shape is RampShape.LINEAR:
        begun = math.sqrt(rate**2 + share * (to**2 - rate**2))  # the rate at that moment
        return 2 * last / (rate + to) * (begun - rate) / (to - rate)
    factor = math.log(to / rate)
    return last * factor / (to - rate) * math.log1p(share * (to / rate - 1)) / factor
