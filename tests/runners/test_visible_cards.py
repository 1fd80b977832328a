"""Which cards of a host a runner may use."""

import pytest

from runners import cards
from runners.cards import visible
from schema.hosts import Card

PRESENT = tuple(
    Card(uuid=f"GPU-{name}", name="NVIDIA H200", memory_bytes=1) for name in ("aa1", "ab2", "b3")
)


@pytest.mark.parametrize(
    ("named", "numbers"),
    [
        (None, [0, 1, 2]),  # not set: all
        ("", []),  # set to nothing: none
        ("1", [1]),
        ("2, 0", [2, 0]),  # their order counts
        ("GPU-ab2", [1]),
        ("GPU-b", [2]),  # the beginning is enough
        ("0,7,1", [0]),  # what follows a card that is not there is not seen
        ("MIG-aa1", []),
    ],
)
def test_cards_are_those_that_cuda_would_see(named: str | None, numbers: list[int]) -> None:
    assert visible(PRESENT, named) == tuple(PRESENT[number] for number in numbers)


def test_an_engine_is_told_the_numbers_of_its_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "present", lambda: PRESENT)
    told = cards.only(["GPU-b3", "GPU-aa1"])
    assert told == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "2,0"}
