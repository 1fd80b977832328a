"""What a span of telemetry gives a trial, and what it could not. Pure."""

from runners.telemetry.watch import Span
from schema.cells import Gpu

FROM_MEMORY = ("gpu_memory_peak", "throughput_per_gpu_gb")
FROM_ENERGY = ("energy_per_token",)


def seen(machine: Span) -> dict[str, float]:
    """Peaks so far on this launch [B] and the energy of the window [J]; absent if not known."""
    values = {
        "gpu_memory_peak": machine.gpu_memory_peak,
        "host_memory_peak": machine.host_memory_peak,
        "energy_j": machine.energy_j,
    }
    return {name: value for name, value in values.items() if value is not None}


def unseen(machine: Span, gpu: Gpu) -> dict[str, str]:
    """Metrics that telemetry should have given, each with why it did not."""
    cards = (*FROM_MEMORY, *FROM_ENERGY) if gpu is not Gpu.CPU else ()
    if machine.lost is not None:
        return dict.fromkeys(("host_memory_peak", *cards), machine.lost)
    missing: dict[str, str] = {}
    if cards and machine.gpu_memory_peak is None:
        missing |= dict.fromkeys(FROM_MEMORY, "no card tells its memory")
    if cards and machine.energy_j is None:
        missing |= dict.fromkeys(FROM_ENERGY, "not every card has an energy counter")
    return missing
