"""tailwatch: streams are matched by the first token id of their prompt. All requests are kept."""

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from fidelity.tools.tool import Call, Tool
from fidelity.truth import Seen

DRIVER = Path(__file__).parents[1] / "ours.py"
FILE = "ours.json"


def command(call: Call) -> Sequence[str]:
    asked = {"port": call.port, "streams": call.point.streams, "tokens": call.point.tokens}
    options = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(DRIVER), *options, "--result", str(call.folder / FILE)]


def read(folder: Path) -> list[Seen]:
    rows = json.loads((folder / FILE).read_text())["requests"]
    return [
        Seen(
            stream=row["name"],
            ttft_s=row["event_s"][0] - row["sent_s"],
            gaps_s=tuple(after - before for before, after in pairwise(row["event_s"])),
            mean_gap_s=(row["event_s"][-1] - row["event_s"][0]) / (row["event_tokens"][-1] - 1),
        )
        for row in rows
        if row["error"] is None
    ]


def cpu_s(folder: Path) -> float:
    """By the client itself: everything from before the first request until the answer is complete,
    its parsing after the window included."""
    return float(json.loads((folder / FILE).read_text())["cpu_s"])


OURS = Tool(name="tailwatch", package=None, command=command, read=read, seconds=3.0)
