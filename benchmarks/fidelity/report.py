"""The results as tables, and docs/fidelity.md around them."""

import datetime
import os
import platform
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fidelity import figures
from fidelity.figures import Row, cpu, middle, reference, spread, sustained, values
from fidelity.points import REFERENCE, RUNGS
from fidelity.tools.ours import OURS
from fidelity.tools.tool import Tool

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"
BEGIN, END = "<!-- written by benchmarks/client_fidelity.py -->", "<!-- end -->"
PICTURE = "![p99 error of ITL over the rate](images/fidelity.png)"
ERROR_S = 100e-6
"""To be reached: the client's own error of ITL, and its error, rate and cost by the best peer's."""
OF_ERROR, OF_RATE, OF_COST = 1 / 5, 3.0, 1 / 3


def line(row: Row) -> str:
    """One measurement in one line."""
    if row["failure"]:
        return f"failed: {row['failure']} ({row['took_s']:.0f} s)"
    errors = {"ITL" if row["itl_s"] else "mean ITL": figures.error(row), "TTFT": row["ttft_s"]}
    told = [f"{name} error p99 {one['p99'] * 1e6:,.0f} us" for name, one in errors.items() if one]
    told += [f"{row['events_per_s']:,.0f} events/s"]
    told += [f"CPU {each * 1e6:.1f} us per event" for each in cpu([row])]
    held = "" if row["sustained"] else ", not sustained"
    return f"{', '.join(told)}{held} ({row['took_s']:.0f} s)"


def tables(rows: Sequence[Row], tools: Sequence[Tool]) -> str:
    """All of them, in Markdown."""
    known = [tool for tool in tools if figures.of(rows, tool)]
    runs = len({row["run"] for row in rows})
    parts = [
        f"Median (least..most) of {runs} runs. {machine()}, {_today()}.",
        "**64 streams x 100 tokens/s: errors in us, and the processor time of one event in us**",
        _errors(rows, known),
        "**The same, by the mean ITL of each request: all that GuideLLM keeps of the gaps, in us**",
        _means(rows, known),
        "**Highest rate before the p99 error of ITL passes 1 ms, events/s**",
        _rates(rows, known),
        "**What was to be reached**",
        targets(rows, known),
        _server(rows),
        PICTURE,
    ]
    return "\n\n".join(parts)


def write(rows: Sequence[Row], tools: Sequence[Tool]) -> None:
    """Put the tables between the markers of docs/fidelity.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(rows, tools)}\n\n{END}{rest.partition(END)[2]}")


def machine() -> str:
    """Processor, cores and kernel."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = found[1] if found else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}"


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))


def _titled(tool: Tool) -> str:
    return f"{tool.name} {tool.package.partition('==')[2] if tool.package else ''}".strip()


def _errors(rows: Sequence[Row], tools: Sequence[Tool]) -> str:
    body = []
    for tool in tools:
        own = reference(rows, tool)
        cells = [
            spread(values(own, what, which), 1e6, ",.1f" if tool is OURS else ",.0f")
            for what in ("itl_s", "ttft_s")
            for which in ("p50", "p99", "max")
        ]
        body.append([_titled(tool), *cells, spread(cpu(own), 1e6, ",.1f")])
    return _table(["", *("ITL p50", "p99", "max", "TTFT p50", "p99", "max"), "CPU"], body)


def _means(rows: Sequence[Row], tools: Sequence[Tool]) -> str:
    body = []
    for tool in tools:
        own = reference(rows, tool)
        cells = [spread(values(own, "mean_itl_s", p), 1e6, ",.2f") for p in ("p50", "p99", "max")]
        body.append([_titled(tool), *cells])
    return _table(["", "mean ITL p50", "p99", "max"], body)


def _rates(rows: Sequence[Row], tools: Sequence[Tool]) -> str:
    body = []
    for tool in tools:
        kept = values(reference(rows, tool), "itl_s", "p99")
        title = _titled(tool) + ("" if kept else " (by the means)")
        body.append([title, spread(sustained(rows, tool), 1.0), figures.end(rows, tool)])
    return _table(["", "events/s", "where it ended"], body)


def targets(rows: Sequence[Row], tools: Sequence[Tool]) -> str:
    """Peers that keep no gaps have no error of ITL and no rate that could be compared."""
    peers = [tool for tool in tools if tool is not OURS]
    gaps = [tool for tool in peers if values(reference(rows, tool), "itl_s", "p99")]
    ours = reference(rows, OURS)
    error, cost, rate = (
        middle(values(ours, "itl_s", "p99")),
        middle(cpu(ours)),
        middle(sustained(rows, OURS)),
    )
    errors = [middle(values(reference(rows, tool), "itl_s", "p99")) for tool in gaps]
    rates = [middle(sustained(rows, tool)) for tool in gaps]
    costs = [middle(cpu(reference(rows, tool))) for tool in peers]
    limits = {
        "p99 error of ITL, us": (error, ERROR_S, 1e6),
        "p99 error of ITL, us, by the best peer's": (error, _share(min, errors, OF_ERROR), 1e6),
        "CPU per event, us, by the best peer's": (cost, _share(min, costs, OF_COST), 1e6),
    }
    body = [
        [name, f"{own * scale:,.1f}", f"at most {limit * scale:,.1f}", _met(own <= limit)]
        for name, (own, limit, scale) in limits.items()
        if own is not None and limit is not None
    ]
    least = _share(max, rates, OF_RATE)
    if rate is not None and least is not None:
        name = "sustained events/s, by the best peer's"
        body.append([name, f"{rate:,.0f}", f"at least {least:,.0f}", _met(rate >= least)])
    return _table(["", "tailwatch", "limit", ""], body)


def _share(
    best: Callable[[list[float]], float], found: Sequence[float | None], by: float
) -> float | None:
    known = [one for one in found if one is not None]
    return best(known) * by if known else None


def _met(good: bool) -> str:
    return "reached" if good else "**missed**"


def _server(rows: Sequence[Row]) -> str:
    """What the reference server did itself, at the reference point."""
    good = [row for row in rows if row["failure"] is None]
    own = [row["server"] for row in good if figures.shape(row) == RUNGS[REFERENCE]]
    told = {name: spread(values(own, name, "p99"), 1e6) for name in ("late_s", "step_s", "doubt_s")}
    fastest = max((row["events_per_s"] for row in good), default=0.0)
    return (
        f"The reference server at that point, p99: steps {told['late_s']} us late and "
        f"{told['step_s']} us long, the truth doubtful by {told['doubt_s']} us. The most that it "
        f"sent in this benchmark: {fastest:,.0f} events/s."
    )
