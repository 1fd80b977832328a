"""A policy says everything, and a wrong one says everything that is wrong."""

from pathlib import Path

import pytest
import yaml

from regressions.policy import DEFAULT_POLICY, JUDGED, read_policy
from schema.documents import BadDocument


def test_the_default_policy_knows_every_judged_metric_and_no_other() -> None:
    assert set(read_policy().min_change) == set(JUDGED)


def test_every_mistake_is_told_with_its_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    text = DEFAULT_POLICY.read_text()
    text = text.replace("alpha: 0.01 ", "alpha: 1.01 ").replace("itl_p50: 0.03", "itl_p5: 0.03")
    text = text.replace("goodput: 0.05", "startup_s: 0.05").replace("q: ", "qq: ")
    path.write_text(text)
    with pytest.raises(BadDocument) as caught:
        read_policy(path)
    told = "\n".join(message.removeprefix(str(path)) for message in caught.value.messages)
    assert ":3: alpha: Input should be less than 1, not 1.01" in told
    assert ": qq: is not a key here; did you mean q?" in told
    assert ":1: q: is missing" in told
    assert ": min_change.itl_p5: is not a metric; did you mean itl_p50?" in told
    assert ": min_change.startup_s: is kept and shown, but not judged; leave it out" in told


def test_a_metric_that_is_left_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(DEFAULT_POLICY.read_text().replace("  e2e_p90: 0.05 ", "  #"))
    with pytest.raises(BadDocument, match=r"min_change: says nothing about e2e_p90"):
        read_policy(path)


def test_the_key_changes_with_the_content_only(tmp_path: Path) -> None:
    content = yaml.safe_load(DEFAULT_POLICY.read_text())
    path = tmp_path / "p.yaml"
    reordered = dict(reversed(content.items())) | {"exact": content["exact"][::-1]}
    path.write_text(yaml.safe_dump(reordered, sort_keys=False))
    assert read_policy(path).key == read_policy().key
    path.write_text(yaml.safe_dump(content | {"q": 0.1}))
    assert read_policy(path).key != read_policy().key


def test_windows_rise_and_those_for_what_lasts_are_whole_weeks(tmp_path: Path) -> None:
    path, text = tmp_path / "p.yaml", DEFAULT_POLICY.read_text()
    path.write_text(text.replace("windows: [28, 35", "windows: [28, 36"))
    with pytest.raises(BadDocument, match=r"series\.lasting\.windows.*multiple of 7, not 36"):
        read_policy(path)
    path.write_text(text.replace("windows: [28, 35", "windows: [14, 35"))
    with pytest.raises(BadDocument, match=r"series: windows must rise from each to the next"):
        read_policy(path)
