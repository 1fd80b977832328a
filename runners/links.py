"""How the cards of a host are linked, as NVML tells it."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from runners import cards
from runners.cards import ask
from schema.hosts import Link, LinkKind

READ, NVLINK = 0, 2
"""NVML_P2P_CAPS_INDEX_*, spelt out: pynvml 13.615 has the tuple (0,) for the first."""
REACHED = 0
"""NVML_P2P_STATUS_OK: cards reach each other in the way asked for."""
PATHS = {0: "X", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}
"""NVML_TOPOLOGY_*, from one board to two sockets, as `nvidia-smi topo -m` writes it."""


def between(uuids: Sequence[str]) -> tuple[Link, ...]:
    """One link a pair of cards, in their order; none of a single card, or without NVML.

    Raises NVMLError where a card itself cannot be reached.
    """
    if len(uuids) < 2:
        return ()
    with cards.nvml() as there:
        if not there:
            return ()
        handles = [cards.pynvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
        pairs = combinations(range(len(handles)), 2)
        return tuple(_link(pair, *(handles[place] for place in pair)) for pair in pairs)


def _link(places: tuple[int, int], one: Any, other: Any) -> Link:
    nvml = cards.pynvml
    ancestor = ask(nvml.nvmlDeviceGetTopologyCommonAncestor, one, other)
    return Link(
        cards=places,
        kind=_kind(ask(nvml.nvmlDeviceGetP2PStatus, one, other, NVLINK)),
        nvlinks=_nvlinks(one, other),
        path=None if ancestor is None else PATHS.get(ancestor, str(ancestor)),
        peer=_reached(ask(nvml.nvmlDeviceGetP2PStatus, one, other, READ)),
    )


def _reached(status: int | None) -> bool | None:
    return None if status is None else status == REACHED


def _kind(status: int | None) -> LinkKind | None:
    if status is None:
        return None
    return LinkKind.NVLINK if _reached(status) else LinkKind.PCIE


def _nvlinks(one: Any, other: Any) -> int | None:
    """How many of a card's NVLinks are up and lead to a switch or the other card."""
    nvml = cards.pynvml
    numbers = range(nvml.NVML_NVLINK_MAX_LINKS)
    states = {number: ask(nvml.nvmlDeviceGetNvLinkState, one, number) for number in numbers}
    if all(state is None for state in states.values()):
        return None
    up = [number for number, state in states.items() if state == nvml.NVML_FEATURE_ENABLED]
    return sum(_leads_to(other, one, number) for number in up)


def _leads_to(other: Any, one: Any, number: int) -> bool:
    """Unless it is known to end somewhere else: virtual machines hide what is behind a link."""
    nvml = cards.pynvml
    if ask(nvml.nvmlDeviceGetNvLinkRemoteDeviceType, one, number) == (
        nvml.NVML_NVLINK_DEVICE_TYPE_SWITCH
    ):
        return True
    end = ask(nvml.nvmlDeviceGetNvLinkRemotePciInfo, one, number)
    there = ask(nvml.nvmlDeviceGetPciInfo, other)
    return end is None or there is None or end.busId == there.busId
