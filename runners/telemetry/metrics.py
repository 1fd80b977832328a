"""What a span of telemetry gives a trial, and what it could not. Pure."""

from runners.telemetry.watch import Span
from schema.cells import Gpu

FROM_CARDS = ("gpu_memory_peak", "throughput_per_gpu_gb", "energy_per_token", "gpu_busy")


def seen(machine: Span) -> dict[str, float]:
    """Peaks of the launch so far [B]; energy [J] and how busy cards were [1] in the window.

    The peak is that of the fullest card, `gpu_memory_together` adds up all of theirs. What is not
    known is absent.
    """
    values = {
        "gpu_memory_peak": machine.gpu_memory_peak,
        "gpu_memory_together": machine.gpu_memory_together,
        "host_memory_peak": machine.host_memory_peak,
        "energy_j": machine.energy_j,
        "gpu_busy": machine.gpu_busy,
    }
    return {name: value for name, value in values.items() if value is not None}


def unseen(machine: Span, gpu: Gpu) -> dict[str, str]:
    """Metrics that telemetry should have given, each with why it did not."""
    cards = FROM_CARDS if gpu is not Gpu.CPU else ()
    if machine.lost is not None:
        return dict.fromkeys(("host_memory_peak", *cards), machine.lost)
    asked = {
        "gpu_memory_peak": (machine.gpu_memory_peak, "no card tells its memory"),
        "throughput_per_gpu_gb": (machine.gpu_memory_together, "not every card tells its memory"),
        "energy_per_token": (machine.energy_j, "not every card has an energy counter"),
        "gpu_busy": (machine.gpu_busy, "not every card tells how busy it is"),
    }
    return {name: asked[name][1] for name in cards if asked[name][0] is None}
