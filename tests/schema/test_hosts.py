"""Hosts: what makes one another machine, and what was only not asked before."""

from typing import Any

from schema.cells import Gpu
from schema.hosts import Card, Host, Link, LinkKind

NVLINK = Link(cards=(0, 1), kind=LinkKind.NVLINK, nvlinks=18, path="SYS", peer=True)
PCIE = NVLINK.model_copy(update={"kind": LinkKind.PCIE})


def host(**changes: Any) -> Host:
    usual = Host(
        name="bench-01", gpu=Gpu.H200, driver="580.159.04", cuda="13.0", cpu="EPYC", cores=64,
        cards=(Card(uuid="GPU-1", name="NVIDIA H200", memory_bytes=150_754_820_096),),
        memory_bytes=2**40, kernel="6.8", python="3.11.7",
    )  # fmt: skip
    return usual.model_copy(update=changes)


def test_a_host_that_was_stored_before_links_were_asked_keeps_its_fingerprint() -> None:
    """As it was computed when a host had neither links nor NCCL."""
    assert host().fingerprint == "8a72a57c0bfda76a"


def test_links_and_nccl_belong_to_the_fingerprint() -> None:
    machines = [host(), host(links=(NVLINK,)), host(links=(PCIE,)), host(nccl="2.28.9")]
    assert len({one.fingerprint for one in machines}) == len(machines)


def test_other_links_make_another_host() -> None:
    assert host(links=(NVLINK,)).differs(host(links=(PCIE,))) == ["links"]
    assert host(driver="581").differs(host(links=(PCIE,))) == ["driver"]


def test_what_was_not_asked_when_a_host_was_stored_is_no_difference() -> None:
    assert host().differs(host(links=(NVLINK,), nccl="2.28.9")) == []


def test_the_nccl_of_a_build_makes_no_other_machine() -> None:
    assert host(nccl="2.28.9").differs(host(nccl="2.29.7")) == []


def test_a_host_that_was_written_before_links_were_asked_is_read() -> None:
    old = host().model_dump(mode="json", exclude={"links", "nccl"})
    assert Host.model_validate(old) == host()
