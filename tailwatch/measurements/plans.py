"""The command that plans each night again. Pure."""

from collections.abc import Iterator

from schema.nights import Night
from tailwatch.measurements.found import Found
from tailwatch.measurements.markdown import table

HOW = """\
Each night was planned by the command beside it, which writes a bundle. On the host

    python3 BUNDLE execute --spool out --engine BUILD=PLACE --within SECONDS

made its launches, called again until nothing was left or the time on the host had ended, and
`tailwatch record out` stored them."""


def how_made(found: Found) -> Iterator[str]:
    """A row a night: launches made of those planned, and the command."""
    yield HOW
    yield ""
    rows = [
        (
            own.name,
            f"{own.launches} of {own.launches_planned}",
            f"`{command(found.plans[own.name])}`",
        )
        for own in found.nights
    ]
    yield from table(("night", "launches", "planned by"), rows, text=3)


def command(night: Night) -> str:
    """`tailwatch plan hopper --build vllm==0.25.1 --launches 5 --cells ... -o BUNDLE`."""
    builds = [*night.baselines, *night.contenders]
    words = [
        *("tailwatch plan", night.matrix, "--night", night.name),
        *(f"--build {build}" for build in builds),
        *("--launches", str(night.launches // _launches_once(night, builds))),
        *("--cells", *_cells(night)),
        "-o BUNDLE",
    ]
    return " ".join(words)


def _launches_once(night: Night, builds: list[str]) -> int:
    """Launches that make every family with every build of its engine once."""
    engines = [build.partition("==")[0] for build in builds]
    families = {cell.family.key: cell.family.engine.value for cell in night.cells}
    return sum(engines.count(engine) for engine in families.values())


def _cells(night: Night) -> Iterator[str]:
    """The cells of each family, their workloads as a shell expands them."""
    workloads: dict[str, list[str]] = {}
    for cell in night.cells:
        workloads.setdefault(cell.family.slug, []).append(cell.workload.name)
    for family, names in workloads.items():
        yield f"{family}/{names[0] if len(names) == 1 else '{' + ','.join(names) + '}'}"
