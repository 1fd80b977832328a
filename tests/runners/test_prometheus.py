"""Reading a Prometheus text page."""

import pytest

from runners.prometheus import each, label, only, parse

PAGE = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{method="post",code="200"} 1027 1395066363000
requests_total{method="post",code="400"} 3
no_labels 12.47
odd{path="C:\\\\DIR {x} = \\"y\\""} 1.458255915e9
huge{le="+Inf"} +Inf
"""


def test_a_sample_is_summed_over_its_labels() -> None:
    assert parse(PAGE)["requests_total"] == 1030
    assert parse(PAGE)['requests_total{method="post",code="400"}'] == 3


def test_a_sample_without_labels_is_read() -> None:
    assert parse(PAGE)["no_labels"] == 12.47


def test_braces_and_quotes_in_labels_do_no_harm() -> None:
    assert parse(PAGE)["odd"] == 1.458255915e9
    assert parse(PAGE)["huge"] == float("inf")


@pytest.mark.parametrize("line", ["", "# only a comment", "half", "<html> 404", "total many"])
def test_lines_that_are_no_samples_are_skipped(line: str) -> None:
    assert parse(line) == {}


def test_a_label_is_found_by_its_whole_name() -> None:
    samples = parse('info{gpu_blocks="7",blocks="8",empty=""} 1')
    assert label(samples, "info", "blocks") == "8"
    assert label(samples, "info", "empty") == ""
    assert label(samples, "info", "absent") is None
    assert label(samples, "inf", "blocks") is None


def test_the_label_sets_of_one_rank_are_kept_with_those_that_have_no_rank() -> None:
    page = 'a_total{rank="0",k="x"} 2\na_total{k="y",rank="1"} 3\na_total{k="z"} 5\nb_total 7'
    kept = only(parse(page), "rank", "0")
    assert kept["a_total"] == 2 + 5
    assert each(kept, "a_total") == [2, 5]
    assert kept["b_total"] == 7


def test_a_sample_that_only_another_rank_tells_is_absent_and_not_zero() -> None:
    assert only(parse('a_total{rank="1"} 3\nb_total 7'), "rank", "0") == {"b_total": 7}
