"""Where engines answered nobody for a while, and what throughput is without that."""

from collections.abc import Iterator

from dashboard.levels import Level, load_words
from dashboard.units import NONE, quantity
from regressions.sentences import counted
from schema.stalls import LEAST_S
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import figure, table
from tailwatch.measurements.memory import name

WHY = f"""\
A *stall* is a time of {LEAST_S:g} s or more in which somebody waited and nobody got a token.
*Outside of stalls* is `steady_throughput`, which is judged beside the throughput; an open loop has
none, for it makes up afterwards for a stall. vLLM
[compiles a kernel of its MoE layers while it serves](https://github.com/vllm-project/vllm/pull/55268)
when a step first has a number of tokens that it was not compiled for, twice and a second apart: so
said a launch that names what it compiles
([decision 31](decisions/0031-throughput-outside-of-stalls.md))."""


def stalled(found: Found) -> Iterator[str]:
    """Every build and cell of which a launch stalled; nothing where none did."""
    told, measured = stalled_levels(found)
    if not told:
        return
    yield "### Stalls"
    yield ""
    yield WHY
    yield ""
    yield f"{counted(len(told), 'row')} of {len(measured)} builds and cells:"
    yield ""
    titles = ("cell", "launches", "stalled", "most in one", "throughput", "outside of stalls")
    yield from table(titles, map(_row, told))


def stalled_levels(found: Found) -> tuple[list[Level], list[Level]]:
    """(builds and cells of which a launch stalled, all of which that was measured)."""
    measured = [own for own in found.levels if own.of("stall_time")]
    return [own for own in measured if any(own.of("stall_time"))], measured


def _row(own: Level) -> tuple[str, ...]:
    seconds, steady = own.of("stall_time"), own.of("steady_throughput")
    return (
        f"{name([own])}: {load_words(own.cell.workload)}",
        str(own.launches),
        str(sum(value > 0 for value in seconds)),
        quantity(max(seconds), "s"),
        figure(own.of("output_throughput"), "tok/s", own.launches),
        figure(steady, "tok/s", own.launches) if steady else NONE,
    )
