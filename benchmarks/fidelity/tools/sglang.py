"""sglang.benchmark.serving 0.5.23: streams are matched by the number in the generated text.

It sends no request ids. Its backend for vLLM's API is used, because its own API's gaps are divided
by tokens. The result keeps every gap (`--output-details`).
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from fidelity.tools.tool import Call, Tool
from fidelity.truth import Seen

VERSION = "0.5.23"
FILE = "sglang.jsonl"
NUMBER = re.compile(r"#\d+")


def command(call: Call) -> Sequence[str]:
    streams = str(call.point.streams)
    return [
        *(str(call.place / "bin" / "python"), "-m", "sglang.benchmark.serving"),
        *("--backend", "vllm", "--base-url", call.url, "--model", "m"),
        *("--tokenizer", str(call.tokenizer), "--dataset-name", "random-ids"),
        *("--random-input-len", "8", "--random-output-len", str(call.point.tokens)),
        *("--random-range-ratio", "1.0", "--num-prompts", streams, "--max-concurrency", streams),
        *("--warmup-requests", "1", "--disable-tqdm", "--output-details"),
        *("--output-file", str(call.folder / FILE)),
    ]


def read(folder: Path) -> list[Seen]:
    result = json.loads((folder / FILE).read_text().splitlines()[-1])
    columns = (result[name] for name in ("ttfts", "itls", "generated_texts", "errors"))
    return [
        Seen(
            stream=number[0],
            ttft_s=ttft_s,
            gaps_s=tuple(gaps_s),
            mean_gap_s=sum(gaps_s) / len(gaps_s),
        )
        for ttft_s, gaps_s, text, error in zip(*columns, strict=True)
        if not error and gaps_s and (number := NUMBER.search(text))
    ]


SGLANG = Tool(
    name="sglang.benchmark.serving",
    package=f"sglang=={VERSION}",
    command=command,
    read=read,
    environment={"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
    seconds=18.0,
)
