"""Machines in words."""

from collections.abc import Callable

from dashboard.hosts import host_facts, link_words
from schema.hosts import Link, LinkKind
from schema.trials import Launch

NVLINK = Link(cards=(0, 1), kind=LinkKind.NVLINK, nvlinks=18, path="SYS", peer=True)


def test_a_host_of_two_cards_tells_how_they_are_linked(
    make_launch: Callable[..., Launch],
) -> None:
    one = make_launch().host
    two = one.model_copy(update={"cards": one.cards * 2, "links": (NVLINK,), "nccl": "2.28.9"})
    assert host_facts(two).items() - host_facts(one).items() == {
        ("Fingerprint", two.fingerprint),
        ("GPU 1", host_facts(one)["GPU 0"]),
        ("GPU 0 to 1", "NVLink, 18 links, PCIe path SYS, peer access"),
        ("NCCL", "2.28.9"),
    }


def test_what_nvml_does_not_tell_of_a_link_is_said() -> None:
    assert link_words(Link(cards=(0, 1), kind=None)) == "a link that NVML does not tell"
    assert link_words(Link(cards=(0, 1), kind=LinkKind.PCIE)) == "PCIe"
