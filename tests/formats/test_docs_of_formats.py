"""docs/formats.md tells what the readers do."""

from itertools import product
from pathlib import Path

import pytest

from formats import sglang, vllm
from formats.quantities import definition
from formats.recognise import read
from schema.imports import Tool
from schema.store.exports import SHEETS

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
FILES = sorted((Path(__file__).parent / "fixtures").iterdir())
EQUAL = [
    (tool, f"{statistic}_{name}_ms", definition(tool, name, quantity, statistic).metric)
    for tool, latencies in (
        (Tool.VLLM, vllm.LATENCIES),
        (Tool.SGLANG, {"itl": sglang.ITL[sglang.NATIVE]} | sglang.LATENCIES),
    )
    for (name, quantity), statistic in product(latencies.items(), ("mean", "median", "p90", "p99"))
]


@pytest.mark.parametrize("tool", Tool)
def test_every_tool_is_documented(tool: Tool) -> None:
    assert f"| `{tool}` |" in TEXT


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_generation_is_documented(path: Path) -> None:
    file = read(path.name, path.read_bytes())
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{file.tool}` |"))
    assert f"`{file.generation}`" in row


@pytest.mark.parametrize("metric", sorted({metric for *_, metric in EQUAL if metric}))
def test_a_definition_equal_to_ours_is_documented(metric: str) -> None:
    assert f"`{metric}`" in TEXT.partition("## Definitions")[2].partition("## Taking")[0]


def test_no_time_to_first_token_is_ours() -> None:
    assert not [name for _, name, metric in EQUAL if "ttft" in name and metric]


@pytest.mark.parametrize(("what", "help"), [(name, own.help) for name, own in SHEETS.items()])
def test_every_export_is_documented(what: str, help: str) -> None:
    assert f"`tailwatch export {what}`" in TEXT
    assert help
