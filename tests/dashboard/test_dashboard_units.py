"""Base units in, text out."""

import pytest

from dashboard import units


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0412, "s", "41.20 ms"),
        (1.234, "s", "1.234 s"),
        (0.0002, "s", "200.0 µs"),
        (19.535e9, "B", "18.19 GiB"),
        (512, "B", "512.0 B"),
        (1234.4, "tok/s", "1,234 tok/s"),
        (0.42, "J/tok", "420.0 mJ/tok"),
        (3.1994, "1", "3.199"),
        (0, "s", "0 s"),  # zero is a value
        (None, "s", "–"),  # noqa: RUF001 - no value is not zero
    ],
)
def test_a_quantity_reads_as_people_write_it(value: float | None, unit: str, text: str) -> None:
    assert units.quantity(value, unit) == text


def test_both_sides_of_a_pair_share_one_unit() -> None:
    assert units.pair(0.9, 1.1, "s") == "0.9000 → 1.100 s"


def test_a_missing_side_is_a_dash() -> None:
    assert units.pair(None, 0.002, "s") == f"{units.NONE} → 2.000 ms"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (0.032, "+3.2 %"),
        (-0.1, f"{units.MINUS}10.0 %"),
        (0.0042, "+0.42 %"),  # small changes of memory keep two decimals
        (-0.00001, "0.0 %"),  # never minus zero
    ],
)
def test_a_change_shows_its_sign(change: float, text: str) -> None:
    assert units.percent(change) == text


def test_a_tiny_p_is_a_bound() -> None:
    assert units.probability(0.00793651) == "0.0079"
    assert units.probability(1e-9) == "< 0.0001"


@pytest.mark.parametrize(
    ("seconds", "text"), [(6.31, "6.3 s"), (80, "1 min 20 s"), (3660, "1 h 1 min")]
)
def test_a_duration_reads_as_a_clock(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text
