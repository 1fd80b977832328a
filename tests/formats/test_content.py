"""What is in a file, before anybody knows whose it is."""

import csv

from formats.content import content_of


def test_reading_leaves_the_limit_of_the_csv_module_as_it_was() -> None:
    before = csv.field_size_limit()
    long = "1" * (before + 1)
    assert content_of(f"a,b,c\n{long},2,3\n").rows[1][1] == [long, "2", "3"]
    assert csv.field_size_limit() == before
