"""github-action-benchmark's data.js (or the same as JSON): suites of commits with their benches."""

from collections.abc import Iterator

from formats.content import Content
from formats.draft import Draft, content_key
from formats.errors import Unreadable
from formats.fields import Fields
from formats.quantities import Quantity
from formats.storable import storable
from schema.imports import ImportedTrial, Subject, Tool
from schema.metrics import Direction

GENERATION = "data.js"
UNITS = {
    "ms": ("s", 1e-3),
    "s": ("s", 1.0),
    "sec": ("s", 1.0),
    "seconds": ("s", 1.0),
    "us": ("s", 1e-6),
    "ns": ("s", 1e-9),
    "ns/iter": ("s/iter", 1e-9),
    "ns/op": ("s/op", 1e-9),
    "tok/s": ("tok/s", 1.0),
    "tokens/s": ("tok/s", 1.0),
    "req/s": ("req/s", 1.0),
    "B": ("B", 1.0),
    "GB": ("B", 1e9),
    "%": ("1", 0.01),
}
LOWER = {"cargo", "go", "catch2", "googlecpp", "customSmallerIsBetter", "benchmarkdotnet", "jmh"}
HIGHER = {"benchmarkjs", "pytest", "customBiggerIsBetter", "benchmarkluau"}


def recognises(content: Content) -> bool:
    return isinstance(content.first.get("entries"), dict)


def read(content: Content) -> list[ImportedTrial]:
    """One trial for each commit of each suite; raises Unreadable."""
    trials = []
    for record in content.records:
        page = Fields(record.value, record)
        suites = page.inner("entries")
        for suite in suites.values:
            trials += [_trial(entry, suite, page) for entry in suites.items(suite)]
    if not trials:
        raise Unreadable("has no entries: nothing was published")
    return trials


def _trial(entry: Fields, suite: str, page: Fields) -> ImportedTrial:
    draft = Draft(tool=Tool.ACTION, line=entry.record.line)
    harness = entry.text("tool") or ""
    for name, bench, known in _benches(entry, harness):
        draft.take(name, bench.number("value"), known)
    state, reason, values = draft.outcome(None, 0)
    commit = entry.inner("commit")
    milliseconds = entry.number("date")
    published = Fields({"date": milliseconds and milliseconds / 1e3}, entry.record, entry.path)
    notes = {"suite": suite, "harness": harness, "repository": page.text("repoUrl")}
    return ImportedTrial(
        tool=Tool.ACTION,
        generation=GENERATION,
        subject=Subject(further=tuple(sorted((k, storable(v)) for k, v in notes.items() if v))),
        build=commit.text("id"),
        measured_at=published.moment("date"),
        committed_at=commit.moment("timestamp"),
        state=state,
        reason=reason,
        values=values,
        line=entry.record.line,
        content=content_key([suite, entry.values], len(entry.record.text)),
    )


def _benches(entry: Fields, harness: str) -> Iterator[tuple[str, Fields, Quantity]]:
    """A bench that stands there twice is told apart by its place: which is meant, nobody knows."""
    seen: dict[str, int] = {}
    for bench in entry.items("benches"):
        name = bench.text("name")
        if name is None:
            raise Unreadable(f"`{bench.path}.name` is missing", entry.record.line)
        seen[name] = seen.get(name, 0) + 1
        called = name if seen[name] == 1 else f"{name} ({seen[name]})"
        unit = bench.text("unit") or "1"
        base, factor = UNITS.get(unit, (unit, 1.0))
        direction = Direction.LOWER if harness in LOWER else None
        direction = Direction.HIGHER if harness in HIGHER else direction
        words = f"bench `{name}` as its suite defines it"
        yield called, bench, Quantity(words=words, unit=base, factor=factor, direction=direction)
