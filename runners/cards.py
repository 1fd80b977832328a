"""NVIDIA cards through NVML. A field the card does not support is None, never 0."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from schema.hosts import Card
from schema.trials import Telemetry

try:
    import pynvml as pynvml  # runners/links.py asks it too
except ImportError:  # a CPU host does without
    pynvml = None
CAN_SEE = pynvml is not None
"""Whether cards would be found if there were any."""
UNREADABLE: tuple[type[Exception], ...] = (pynvml.NVMLError,) if CAN_SEE else ()
"""What is raised when a card cannot be read."""

T = TypeVar("T")

SLOWING = 0x8 | 0x20 | 0x40 | 0x80
"""Clock event reasons that slow a card down: hardware slowdown, thermal (two), power brake. The
software power cap (0x4) is not among them: an H100 at saturation lives at its 700 W (seen in every
offline window), and both sides of a comparison meet it. It stays visible in the telemetry."""


@contextlib.contextmanager
def required() -> Iterator[None]:
    """NVML, initialised inside; raises NVMLError, which says why, where there is none. Nested uses
    are cheap, the outermost is not."""
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


@contextlib.contextmanager
def nvml() -> Iterator[bool]:
    """Whether NVML is there; initialised inside."""
    if pynvml is None:
        yield False
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(required())
            there = True
        except pynvml.NVMLError:
            there = False
        yield there


def ask(function: Callable[..., T], *arguments: Any) -> T | None:
    """What NVML answers; None where this card or driver cannot."""
    try:
        return function(*arguments)
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def visible(present: Sequence[Card], named: str | None) -> tuple[Card, ...]:
    """The cards that CUDA_VISIBLE_DEVICES names, by number or by the beginning of their UUID.

    Like CUDA: all of them where it is not set, and none from the first name on that is no card.
    """
    if named is None:
        return tuple(present)
    found: list[Card] = []
    for name in filter(None, map(str.strip, named.split(","))):
        numbers = [name == str(number) for number in range(len(present))]
        asked = [
            card
            for card, by_number in zip(present, numbers, strict=True)
            if by_number or (not name.isdigit() and card.uuid.startswith(name))
        ]
        if not asked:
            break
        found += asked[:1]
    return tuple(found)


def describe() -> tuple[tuple[Card, ...], str | None, str | None]:
    """(cards that may be used, driver version, CUDA version of the driver); no cards without a
    driver, and only those that CUDA_VISIBLE_DEVICES leaves."""
    with nvml() as there:
        if not there:
            return (), None, None
        cuda = ask(pynvml.nvmlSystemGetCudaDriverVersion)
        version = None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}"
        driver = _text(ask(pynvml.nvmlSystemGetDriverVersion))
        return visible(present(), os.environ.get("CUDA_VISIBLE_DEVICES")), driver, version


def present() -> tuple[Card, ...]:
    """All cards of the host in the order of their numbers (PCI_BUS_ID); none without a driver."""
    with nvml() as there:
        count = pynvml.nvmlDeviceGetCount() if there else 0
        return tuple(_card(pynvml.nvmlDeviceGetHandleByIndex(number)) for number in range(count))


def only(uuids: Sequence[str]) -> dict[str, str]:
    """The environment in which CUDA sees these cards alone: by number, as engines read it."""
    uuids_here = [card.uuid for card in present()]
    numbers = ",".join(str(uuids_here.index(uuid)) for uuid in uuids)
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": numbers}


def _card(handle: Any) -> Card:
    limit = ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    clock = ask(pynvml.nvmlDeviceGetMaxClockInfo, handle, pynvml.NVML_CLOCK_SM)
    ecc = ask(pynvml.nvmlDeviceGetEccMode, handle)
    return Card(
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)) or "",
        name=_text(pynvml.nvmlDeviceGetName(handle)) or "",
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        power_limit_w=None if limit is None else limit / 1e3,
        sm_clock_max_hz=None if clock is None else clock * 1e6,
        ecc=None if ecc is None else bool(ecc[0]),
    )


def processes(uuids: tuple[str, ...]) -> dict[str, list[int]]:
    """Process ids that compute on each card now. Inside a container these may be the host's ids."""
    with nvml() as there:
        if not there:
            return {}
        found = {}
        for uuid in uuids:
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            running = ask(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
            found[uuid] = [int(process.pid) for process in running]
        return found


def read(uuid: str, now_s: Callable[[], float], *, slowly: bool = False) -> Telemetry:
    """One reading of a card; `slowly` also of what hardly ever changes (ECC errors, remapped rows).

    Its moment is that of the energy counter, whose differences are divided by time. Needs NVML to
    be initialised. Raises NVMLError when the card itself cannot be reached.
    """
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    at_s, energy = now_s(), ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    busy = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    power = ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    heat = ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    errors = _errors(handle) if slowly else {}
    return Telemetry(
        at_s=at_s,
        device=uuid,
        memory_bytes=None if memory is None else int(memory.used),
        utilisation=None if busy is None else busy.gpu / 100,
        power_w=None if power is None else power / 1e3,
        energy_j=None if energy is None else energy / 1e3,
        sm_clock_hz=_clock_hz(handle, pynvml.NVML_CLOCK_SM),
        temperature_c=None if heat is None else float(heat),
        throttle_reasons=ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle),
        memory_clock_hz=_clock_hz(handle, pynvml.NVML_CLOCK_MEM),
        **errors,
    )


def _clock_hz(handle: Any, kind: int) -> float | None:
    clock = ask(pynvml.nvmlDeviceGetClockInfo, handle, kind)
    return None if clock is None else clock * 1e6


def _errors(handle: Any) -> dict[str, int | None]:
    """ECC errors since the driver was loaded, and rows replaced in the card's whole life."""
    since = pynvml.NVML_VOLATILE_ECC
    kinds = {
        "ecc_corrected": pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
        "ecc_uncorrected": pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
    }
    found = {
        name: ask(pynvml.nvmlDeviceGetTotalEccErrors, handle, kind, since)
        for name, kind in kinds.items()
    }
    rows = ask(pynvml.nvmlDeviceGetRemappedRows, handle)
    return found | {"remapped_rows": None if rows is None else int(rows[0]) + int(rows[1])}
