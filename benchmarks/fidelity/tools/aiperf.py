"""AIPerf 0.13.0: streams are matched by the request ids that it sends.

The records keep every gap (`inter_chunk_latency`). HF_HUB_OFFLINE would break its reading of a
tokenizer from a folder, so it is not set. One worker, as there is one core.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fidelity.tools.tool import Call, Tool
from fidelity.truth import Seen

VERSION = "0.13.0"
FILE = "profile_export.jsonl"


def command(call: Call) -> Sequence[str]:
    streams, tokens = str(call.point.streams), str(call.point.tokens)
    return [
        *(str(call.place / "bin" / "aiperf"), "profile", "--model", "m"),
        *("--tokenizer", str(call.tokenizer), "--url", call.url),
        *("--endpoint-type", "completions", "--streaming", "--concurrency", streams),
        *("--request-count", streams, "--warmup-request-count", "1", "--isl", "8", "--osl", tokens),
        *("--random-seed", "1", "--extra-inputs", "ignore_eos:true", "--export-level", "records"),
        *("--workers-max", "1", "--no-server-metrics", "--no-gpu-telemetry", "--ui-type", "none"),
        *("--artifact-dir", str(call.folder)),
    ]


def read(folder: Path) -> list[Seen]:
    rows = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    good = [row for row in rows if not row.get("error") and "inter_chunk_latency" in row["metrics"]]
    return [_seen(row) for row in good]


def _seen(row: dict[str, Any]) -> Seen:
    metrics = row["metrics"]
    gaps_s = tuple(gap / 1e3 for gap in metrics["inter_chunk_latency"]["value"])
    return Seen(
        stream=row["metadata"]["x_request_id"],
        ttft_s=metrics["time_to_first_token"]["value"] / 1e3,
        gaps_s=gaps_s,
        mean_gap_s=sum(gaps_s) / len(gaps_s),
    )


AIPERF = Tool(name="AIPerf", package=f"aiperf=={VERSION}", command=command, read=read, seconds=25.0)
