"""Arrivals: who decides when the next request is sent, and how an open loop spreads them."""

from enum import StrEnum

from pydantic import Field

from schema.words import Word


class Arrival(StrEnum):
    """When requests are sent."""

    OPEN_LOOP = "open-loop"  # at drawn or recorded times, whatever the engine does
    CLOSED_LOOP = "closed-loop"  # a fixed number in flight
    OFFLINE = "offline"  # all at once


class Pattern(StrEnum):
    """How the arrivals of an open loop are spread."""

    POISSON = "poisson"  # independent users
    GAMMA = "gamma"  # in bursts, or calmer than Poisson: see Workload.burstiness
    CONSTANT = "constant"  # equal gaps
    RECORDED = "recorded"  # the times that the workload's file has


class RampShape(StrEnum):
    """How a rate changes over the window, as a function of time."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"  # equal factors in equal times


class Ramp(Word):
    """The rate changes from the workload's own to another one, which the last request meets."""

    to: float = Field(gt=0)
    """Requests per second at the end."""
    shape: RampShape = RampShape.LINEAR
