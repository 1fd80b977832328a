"""Sweeps: one entry of a matrix that stands for several workloads, alike but for their load.

`sharegpt: {sweep: {rate: [1, 2]}, ...}` is written out as sharegpt-1rps and sharegpt-2rps, and
`sharegpt` in a family means both. One launch serves them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from schema.places import Mistake, Place, again
from schema.words import Word

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Sweep(Word):
    """What differs between the workloads."""

    rate: tuple[Positive, ...] = ()
    """Requests per second."""
    concurrency: tuple[Count, ...] = ()
    """Requests in flight."""
    requests: tuple[Count, ...] = ()
    """Requests of each; none where all send as many."""

    @model_validator(mode="after")
    def _varies_one_load(self) -> "Sweep":
        if bool(self.rate) == bool(self.concurrency):
            raise ValueError("list either rate or concurrency")
        if self.requests and len(self.requests) != len(self.loads):
            raise ValueError(f"{len(self.requests)} requests for {len(self.loads)} workloads")
        return self

    @property
    def loads(self) -> tuple[float, ...]:
        return self.rate or self.concurrency

    def workloads(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name of a workload, what it does not share with the others)."""
        swept, unit = ("rate", "rps") if self.rate else ("concurrency", "")
        for at, load in enumerate(self.loads):
            own: dict[str, Any] = {swept: load}
            if self.requests:
                own["requests"] = self.requests[at]
            yield f"{name}-{load:g}{unit}", own


@dataclass(kw_only=True)
class WrittenOut:
    """A matrix without sweeps, and where each part of it stands in the file."""

    value: Any
    mistakes: list[Mistake] = field(default_factory=list)
    broken: list[InitErrorDetails] = field(default_factory=list)
    """What is wrong with sweeps that cannot be written out."""
    sweeps: dict[str, list[str]] = field(default_factory=dict)
    """Names of the workloads by the key of their sweep."""
    positions: dict[int, list[int]] = field(default_factory=dict)
    """Of every family: where in the file each of its workloads is named."""

    def place(self, place: Place) -> Place:
        """The place in the file of a place in `value`."""
        match place:
            case ("workloads", name, *rest):
                keys = [key for key, names in self.sweeps.items() if name in names]
                return ("workloads", keys[0] if keys else name, *rest)
            case ("families", int(number), "workloads", int(at), *rest):
                return ("families", number, "workloads", self.positions[number][at], *rest)
        return place


def written_out(document: Any) -> WrittenOut:
    """The matrix with every sweep replaced by its workloads, and what is wrong with sweeps."""
    found = WrittenOut(value=document)
    if not isinstance(document, dict):
        return found
    found.value = dict(document)
    if isinstance(document.get("workloads"), dict):
        found.value["workloads"] = _workloads(document["workloads"], found)
    if isinstance(document.get("families"), list):
        found.value["families"] = [
            _family(entry, number, found) for number, entry in enumerate(document["families"])
        ]
    return found


def _workloads(entries: dict[str, Any], found: WrittenOut) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, entry in entries.items():
        if not isinstance(entry, dict) or "sweep" not in entry:
            plain[key] = entry
            continue
        place: Place = ("workloads", key)
        shared = {name: value for name, value in entry.items() if name != "sweep"}
        try:
            sweep = Sweep.model_validate(entry["sweep"])
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                found.broken.append(again(detail, (*place, "sweep", *detail["loc"])))
            plain[key] = shared  # so that families may name it
            continue
        found.sweeps[key] = []
        for name, own in sweep.workloads(key):
            for twice in shared.keys() & own.keys():
                found.mistakes.append(((*place, twice), "is given by the sweep; leave it out here"))
            if name in entries or name in plain:
                found.mistakes.append((place, f"makes {name}, which is there already"))
            plain[name] = shared | own
            found.sweeps[key].append(name)
    return plain


def _family(entry: Any, number: int, found: WrittenOut) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("workloads"), list):
        return entry
    named: list[Any] = []
    found.positions[number] = []
    for at, name in enumerate(entry["workloads"]):
        meant = found.sweeps.get(name, [name]) if isinstance(name, str) else [name]
        named += meant
        found.positions[number] += [at] * len(meant)
    return {**entry, "workloads": named}
