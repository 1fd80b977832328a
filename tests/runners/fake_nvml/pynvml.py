"""NVML of a host with two made-up H100s, for this process and, through PYTHONPATH, for others.

FAKE_NVML says what is wrong: `absent` (no driver), or names of functions that these cards do not
have, separated by commas.
"""

import os
import time
from types import SimpleNamespace
from typing import Any

NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2
NVML_TEMPERATURE_GPU = 0
NVML_VOLATILE_ECC = 0
NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 0, 1
nvmlMemory_v2 = 0x2000028  # noqa: N816
UUIDS = ("GPU-1", "GPU-2")
WATTS = {"GPU-1": 300.0, "GPU-2": 500.0}
MIB = 2**20


class NVMLError(Exception):
    """As the real one, which has the text of its code."""


def _wrong() -> list[str]:
    return os.environ.get("FAKE_NVML", "").split(",")


def nvmlInit() -> None:
    if "absent" in _wrong():
        raise NVMLError("NVML Shared Library Not Found")


def nvmlShutdown() -> None:
    pass


def nvmlDeviceGetHandleByUUID(uuid: str) -> str:
    if uuid not in UUIDS:
        raise NVMLError("Not Found")
    return uuid


def nvmlDeviceGetMemoryInfo(handle: str, version: int | None = None) -> Any:
    assert version == nvmlMemory_v2, "the first version counts what the driver reserves"
    return SimpleNamespace(used=(1000 if handle == "GPU-1" else 2000) * MIB)


def nvmlDeviceGetTotalEnergyConsumption(handle: str) -> int:
    return round(time.monotonic() * WATTS[handle] * 1e3)  # mJ


def nvmlDeviceGetPowerUsage(handle: str) -> int:
    return round(WATTS[handle] * 1e3)  # mW


def nvmlDeviceGetUtilizationRates(handle: str) -> Any:
    return SimpleNamespace(gpu=87)


def nvmlDeviceGetClockInfo(handle: str, kind: int) -> int:
    return {NVML_CLOCK_SM: 1980, NVML_CLOCK_MEM: 2619}[kind]  # MHz


def nvmlDeviceGetTemperature(handle: str, kind: int) -> int:
    return 61


def nvmlDeviceGetCurrentClocksEventReasons(handle: str) -> int:
    return 0x4  # the power cap, which is normal


def nvmlDeviceGetTotalEccErrors(handle: str, kind: int, counter: int) -> int:
    return 3 if kind == NVML_MEMORY_ERROR_TYPE_CORRECTED else 0


def nvmlDeviceGetRemappedRows(handle: str) -> tuple[int, int, int, int]:
    return (2, 1, 0, 0)


def nvmlDeviceGetComputeRunningProcesses(handle: str) -> list[Any]:
    return []


def _refuse(*_: Any) -> Any:
    raise NVMLError("Not Supported")


for _name in _wrong():
    if _name in globals():
        globals()[_name] = _refuse
