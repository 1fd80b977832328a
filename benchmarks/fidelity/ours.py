"""tailwatch's own load client as a command, like its peers.

python benchmarks/fidelity/ours.py --port 8000 --streams 64 --tokens 300 --result FILE
"""

import argparse
import json
import os
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runners.load.client import Window, client
from runners.workload import Draft
from schema.arrivals import Arrival
from schema.cells import Workload
from schema.lengths import Lengths

FIRST_TOKEN = 1000
"""The first token id of each prompt tells the server which stream it is."""
WARM_UP_TOKENS = 16


def drafts(streams: int, tokens: int, base: int) -> list[Draft]:
    return [
        Draft(index=at, scheduled_s=0.0, prompt=(base + at, *range(7)), output_tokens=tokens)
        for at in range(streams)
    ]


def workload(streams: int, tokens: int) -> Workload:
    return Workload(
        name="fidelity",
        arrival=Arrival.CLOSED_LOOP,
        concurrency=streams,
        requests=streams,
        input_tokens=Lengths(mean=8, longest=8),
        output_tokens=Lengths(mean=tokens, longest=tokens),
    )


def used_s() -> float:
    """Processor time of this process and its children that ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def result(window: Window, cpu_s: float) -> dict[str, object]:
    """As the driver of the benchmark reads it."""
    rows = [
        {
            "name": str(FIRST_TOKEN + request.index),
            "sent_s": request.sent_s,
            "event_s": request.event_s,
            "event_tokens": request.event_tokens,
            "error": request.error,
        }
        for request in window.requests
    ]
    seen = {"kernel_stamps": window.kernel_stamps, "merged": window.merged, "cpu_s": cpu_s}
    return {**seen, "requests": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True, help="of each stream")
    parser.add_argument("--processes", type=int, default=1, help="of the load, default 1")
    parser.add_argument("--result", type=Path, required=True)
    given = parser.parse_args()
    with client(given.port, given.processes) as load:
        warm = drafts(1, WARM_UP_TOKENS, 0)
        load.send("m", workload(1, WARM_UP_TOKENS), warm, timeout_s=30.0)
        asks = drafts(given.streams, given.tokens, FIRST_TOKEN)
        used_before_s = used_s()
        window = load.send("m", workload(given.streams, given.tokens), asks, timeout_s=30.0)
        used_here_s = used_s() - used_before_s
    given.result.write_text(json.dumps(result(window, used_here_s + window.cpu_s)))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[2]))
    main()
