"""What machine is this: the facts that can change a measurement."""

import os
import platform
import re
from pathlib import Path

from runners import cards, links
from runners.errors import UnsupportedCell
from schema.cells import Gpu
from schema.hosts import Host

KINDS = {Gpu.H100: "H100", Gpu.H200: "H200"}


def describe(gpu: Gpu, cards_used: int) -> Host:
    """The host and the first `cards_used` cards of the asked kind; raises UnsupportedCell."""
    found, driver, cuda = cards.describe() if gpu is not Gpu.CPU else ((), None, None)
    fitting = [card for card in found if KINDS[gpu] in card.name] if gpu is not Gpu.CPU else []
    if gpu is not Gpu.CPU and len(fitting) < cards_used:
        seen = ", ".join(card.name for card in found) or "no NVIDIA GPU"
        raise UnsupportedCell(f"the cell needs {cards_used} x {gpu}; this host has {seen}")
    used = tuple(fitting[:cards_used])
    return Host(
        name=platform.node(),
        gpu=gpu,
        cards=used,
        driver=driver,
        cuda=cuda,
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        python=platform.python_version(),
        links=links.between([card.uuid for card in used]),
    )


def _cpu_name() -> str:
    """Model name as the kernel prints it; the machine type where it prints none."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.machine()
