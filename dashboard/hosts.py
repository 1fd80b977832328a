"""Machines in words. Pure."""

from dashboard.units import quantity
from schema.hosts import Host, Link, LinkKind

KINDS = {LinkKind.NVLINK: "NVLink", LinkKind.PCIE: "PCIe", None: "a link that NVML does not tell"}


def host_facts(host: Host) -> dict[str, str]:
    """A machine, as far as it can change a measurement."""
    facts = {
        "Host": host.name,
        "Fingerprint": host.fingerprint,
        "Driver, CUDA": f"{host.driver or 'none'}, {host.cuda or 'none'}",
        "CPU": f"{host.cpu}, {host.cores} cores, {quantity(host.memory_bytes, 'B')}",
        "Kernel, Python": f"{host.kernel}, {host.python}",
    }
    for index, card in enumerate(host.cards):
        limit = "" if card.power_limit_w is None else f", {card.power_limit_w:g} W"
        memory = quantity(card.memory_bytes, "B")
        facts[f"GPU {index}"] = f"{card.name}, {memory}{limit}, {card.uuid}"
    for link in host.links:
        one, other = link.cards
        facts[f"GPU {one} to {other}"] = ", ".join([link_words(link), *_ways(link)])
    return facts if host.nccl is None else facts | {"NCCL": host.nccl}


def link_words(link: Link) -> str:
    """`NVLink, 18 links`."""
    kind = KINDS[link.kind]
    return f"{kind}, {link.nvlinks} links" if link.nvlinks else kind


def _ways(link: Link) -> list[str]:
    reach = {True: "peer access", False: "no peer access", None: None}[link.peer]
    return [*filter(None, [link.path and f"PCIe path {link.path}", reach])]
