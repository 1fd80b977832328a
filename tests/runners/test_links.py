"""How cards are linked: what is made of NVML's answers, on hosts of several kinds."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from runners import cards, links
from schema.hosts import Link, LinkKind

ANCESTORS = {
    "PIX": pynvml.NVML_TOPOLOGY_SINGLE,
    "NODE": pynvml.NVML_TOPOLOGY_NODE,
    "SYS": pynvml.NVML_TOPOLOGY_SYSTEM,
}
BUSES = {"GPU-1": b"00000000:01:00.0", "GPU-2": b"00000000:02:00.0", "GPU-3": b"00000000:03:00.0"}
SWITCH = b"00000000:A1:00.0"
PAIR = ("GPU-1", "GPU-2")


class Nvml:
    """The boundary: the answers of one kind of host, with NVML's own numbers and errors."""

    NVMLError = pynvml.NVMLError
    NVML_NVLINK_MAX_LINKS = pynvml.NVML_NVLINK_MAX_LINKS
    NVML_FEATURE_ENABLED = pynvml.NVML_FEATURE_ENABLED
    NVML_NVLINK_DEVICE_TYPE_SWITCH = pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH

    def __init__(
        self,
        *,
        ends: tuple[bytes | None, ...] = (),
        down: int = 0,
        path: str = "SYS",
        nvlink: int | None = pynvml.NVML_P2P_STATUS_NOT_SUPPORTED,
        read: int | None = pynvml.NVML_P2P_STATUS_OK,
    ) -> None:
        self.ends, self.down, self.path, self.status = ends, down, path, {2: nvlink, 0: read}

    def nvmlInit(self) -> None: ...

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetPciInfo(self, handle: str) -> Any:
        return SimpleNamespace(busId=BUSES[handle])

    def nvmlDeviceGetTopologyCommonAncestor(self, one: str, other: str) -> int:
        return int(_or_refuse(ANCESTORS.get(self.path)))

    def nvmlDeviceGetP2PStatus(self, one: str, other: str, index: int) -> int:
        return int(_or_refuse(self.status[index]))

    def nvmlDeviceGetNvLinkState(self, handle: str, link: int) -> int:
        if link >= len(self.ends) + self.down:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return int(link < len(self.ends))

    def nvmlDeviceGetNvLinkRemoteDeviceType(self, handle: str, link: int) -> int:
        kinds = {SWITCH: pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH, None: None}
        return int(_or_refuse(kinds.get(self.ends[link], pynvml.NVML_NVLINK_DEVICE_TYPE_GPU)))

    def nvmlDeviceGetNvLinkRemotePciInfo(self, handle: str, link: int) -> Any:
        return SimpleNamespace(busId=_or_refuse(self.ends[link]))


def _or_refuse(answer: Any) -> Any:
    if answer is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return answer


OK = pynvml.NVML_P2P_STATUS_OK
Between = Callable[..., tuple[Link, ...]]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    def asked(*uuids: str, **host: Any) -> tuple[Link, ...]:
        monkeypatch.setattr(cards, "pynvml", Nvml(**host))
        return links.between(uuids)

    return asked


def test_cards_behind_switches_reach_each_other_by_all_their_nvlinks(between: Between) -> None:
    (link,) = between(*PAIR, ends=(SWITCH,) * 18, nvlink=OK)
    assert link == Link(cards=(0, 1), kind=LinkKind.NVLINK, nvlinks=18, path="SYS", peer=True)


def test_only_the_nvlinks_that_lead_to_the_other_card_count(between: Between) -> None:
    ends = (BUSES["GPU-2"],) * 4 + (BUSES["GPU-3"],) * 2
    (link,) = between(*PAIR, ends=ends, down=6, nvlink=OK, path="NODE")
    assert (link.kind, link.nvlinks, link.path) == (LinkKind.NVLINK, 4, "NODE")


def test_nvlinks_whose_ends_a_virtual_machine_hides_count(between: Between) -> None:
    (link,) = between(*PAIR, ends=(None,) * 18, nvlink=OK)
    assert (link.kind, link.nvlinks) == (LinkKind.NVLINK, 18)


def test_cards_without_nvlink_are_linked_by_pcie(between: Between) -> None:
    not_supported = pynvml.NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED
    (link,) = between(*PAIR, path="PIX", read=not_supported)
    assert link == Link(cards=(0, 1), kind=LinkKind.PCIE, nvlinks=None, path="PIX", peer=False)


def test_what_nvml_does_not_tell_is_not_made_up(between: Between) -> None:
    (link,) = between(*PAIR, path="hidden", nvlink=None, read=None)
    assert link == Link(cards=(0, 1), kind=None)


def test_every_pair_of_cards_has_a_link(between: Between) -> None:
    assert [one.cards for one in between(*BUSES)] == [(0, 1), (0, 2), (1, 2)]
    assert between("GPU-1") == ()


def test_a_host_without_a_driver_has_no_links() -> None:
    if cards.describe()[1] is not None:
        pytest.skip("this host has a driver")
    assert links.between(PAIR) == ()


def test_the_numbers_asked_for_are_those_of_nvml() -> None:
    assert links.NVLINK == pynvml.NVML_P2P_CAPS_INDEX_NVLINK
    assert links.READ == pynvml.NVML_P2P_CAPS_INDEX_WRITE - 1
    assert links.REACHED == pynvml.NVML_P2P_STATUS_OK
    assert set(ANCESTORS.values()) < set(links.PATHS)
