"""Hosts: machines with their cards and what joins these, as far as it can change a measurement."""

from enum import StrEnum

from schema.cells import Gpu
from schema.words import Word, digest


class Card(Word):
    """One GPU as NVML describes it."""

    uuid: str
    name: str
    memory_bytes: int
    power_limit_w: float | None = None
    sm_clock_max_hz: float | None = None
    ecc: bool | None = None


class LinkKind(StrEnum):
    """What two cards reach each other by."""

    NVLINK = "nvlink"
    PCIE = "pcie"


class Link(Word):
    """How two cards of a host reach each other. None is `NVML does not tell`."""

    cards: tuple[int, int]
    """Their places in the host's `cards`, from 0."""
    kind: LinkKind | None
    nvlinks: int | None = None
    """NVLinks that are up between them, straight or through switches."""
    path: str | None = None
    """What PCIe has between them, in the letters of `nvidia-smi topo`: PIX, PXB, PHB, NODE, SYS."""
    peer: bool | None = None
    """Whether they can read each other's memory."""


class Host(Word):
    """A machine, as far as it can change a measurement."""

    name: str
    gpu: Gpu
    cards: tuple[Card, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    links: tuple[Link, ...] = ()
    """One a pair of its cards."""
    nccl: str | None = None
    """NCCL by which the engine's cards talk, as it says itself; None where it used none."""

    @property
    def fingerprint(self) -> str:
        """Changes when anything changes that could move a number.

        Fields that came later are left out while unset: no fingerprint of a stored host changed.
        """
        return digest(self.model_dump(mode="json", exclude=self._unset()))

    def differs(self, other: "Host") -> list[str]:
        """Fields by which one host is another machine, or the same one changed.

        What one of them was recorded too early to know is no difference, and neither is NCCL: it
        comes with the build's PyTorch, and the digest of the build tells of it.
        """
        ignored = {"nccl"} | self._unset() | other._unset()
        names = [name for name in Host.model_fields if name not in ignored]
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def _unset(self) -> set[str]:
        return {name for name in ("links", "nccl") if not getattr(self, name)}
