"""NCCL and its like: how cards of one engine talk, and that they do it without multicast.

NVLink multicast (NVLS) is left off: while one program uses it, an error can take every card of the
host out of service, also those that others hold (decision 28).
"""

import re

from schema.cells import Family

WITHOUT_MULTICAST = {
    "NCCL_NVLS_ENABLE": "0",
    "NVSHMEM_DISABLE_NVLS": "1",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
}
_SAID = re.compile(r"NCCL version (\d[\d.]*\d)|is using nccl==(\d[\d.]*\d)")


def environment(family: Family) -> dict[str, str]:
    """Variables for whatever lets cards talk, whoever the engine is; none for a single card."""
    return WITHOUT_MULTICAST | {"NCCL_DEBUG": "VERSION"} if family.devices > 1 else {}


def version(log: str) -> str | None:
    """NCCL's own line (NCCL_DEBUG=VERSION), or the engine's; None where neither is there."""
    said = _SAID.search(log)
    return said and (said[1] or said[2])
