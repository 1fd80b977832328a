"""GuideLLM 0.8.1: streams are matched by the number in the generated text.

It keeps the times of the first and the last token only: of the gaps it knows each request's mean.
It starts up to ten worker processes; here they share one core, where one is cheaper for it.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from fidelity.tools.tool import Call, Tool
from fidelity.truth import Seen

VERSION = "0.8.1"
FILE = "guidellm.json"
NUMBER = re.compile(r"#\d+")


def command(call: Call) -> Sequence[str]:
    streams, tokens = call.point.streams, call.point.tokens
    return [
        *(str(call.place / "bin" / "guidellm"), "run", "--backend"),
        f"kind=openai_http,target={call.url},model=m,request_format=/v1/completions",
        *("--profile", f"kind=concurrent,streams={streams}"),
        *("--constraint", f"kind=max_requests,count={streams}"),
        *("--data", f"kind=synthetic_text,prompt_tokens=8,output_tokens={tokens}"),
        *("--tokenizer", f"kind=huggingface_auto,model={call.tokenizer}"),
        *("--seed", "kind=static,value=42", "--disable-console"),
        *("--output", f"kind=json,path={call.folder / FILE}"),
    ]


def read(folder: Path) -> list[Seen]:
    result = json.loads((folder / FILE).read_text())
    rows = [row for one in result["benchmarks"] for row in one["requests"]["successful"]]
    return [
        Seen(
            stream=number[0],
            ttft_s=row["time_to_first_token_ms"] / 1e3,
            gaps_s=None,
            mean_gap_s=row["inter_token_latency_ms"] / 1e3,
        )
        for row in rows
        if (number := NUMBER.search(row["output"] or "")) and row["inter_token_latency_ms"]
    ]


GUIDELLM = Tool(
    name="GuideLLM",
    package=f"guidellm=={VERSION}",
    command=command,
    read=read,
    environment={"GUIDELLM__MAX_WORKER_PROCESSES": "1"},
    seconds=25.0,
)
