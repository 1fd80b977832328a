"""What lies in examples/ can still be recorded: its documents were written by earlier code."""

import pytest

from schema.trials import Launch
from tailwatch.documents import Documents
from tailwatch.home import REPOSITORY

HOPPER = REPOSITORY / "examples" / "hopper-2026-11"


@pytest.fixture(scope="module")
def launches() -> list[Launch]:
    documents = Documents(HOPPER)
    found = [launch for _, launch in documents.launches()]
    assert {night.name for _, night in documents.nights()} == {one.night for one in found}
    assert not documents.broken
    return found


def test_the_readme_counts_its_launches(launches: list[Launch]) -> None:
    rows = (HOPPER / "README.md").read_text().splitlines()
    told = [row.split("|")[4].split() for row in rows if row.startswith("| `h")]
    assert sum(int(number) for own in told for number in own if number.isdigit()) == len(launches)


def test_every_request_has_the_times_of_its_tokens(launches: list[Launch]) -> None:
    requests = [own for one in launches for trial in one.trials for own in trial.requests]
    assert len(requests) == 23_992
    for own in requests:
        assert own.error is None
        assert own.event_tokens[-1] == own.output_tokens == 128
        assert list(own.event_s) == sorted(own.event_s)
