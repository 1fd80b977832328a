"""The file in which people write a matrix, and every mistake that can be made in it.

Models and workloads are named once and referred to by families. A family entry may list several
engines, precisions and GPU kinds: it stands for their product. So does a workload with a sweep.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from schema.cells import Workload
from schema.feasibility import obstacles
from schema.matrix_entries import Builds, FamilyEntry, ModelEntry
from schema.pins import pinned
from schema.places import Mistake, Place, again, raisable
from schema.request_files import Holds
from schema.spelling import did_you_mean
from schema.sweeps import written_out
from schema.trials import BuildSpec
from schema.words import Word


class MatrixFile(Word):
    """A matrix as written. Validation tells what is wrong with the cells too, not only the keys."""

    launches: int = Field(default=3, gt=0)
    control: Builds = ()
    """Builds that are pinned and measured beside tonight's, at most one an engine."""
    models: dict[str, ModelEntry]
    workloads: dict[str, Workload]
    families: tuple[FamilyEntry, ...] = Field(min_length=1)

    @field_validator("control")
    @classmethod
    def _one_control_an_engine(cls, control: tuple[BuildSpec, ...]) -> tuple[BuildSpec, ...]:
        if len({build.engine for build in control}) < len(control):
            raise ValueError(f"one build an engine: {', '.join(map(str, control))}")
        return control

    @field_validator("workloads", mode="before")
    @classmethod
    def _a_workload_is_called_by_its_key(cls, workloads: Any) -> Any:
        if not isinstance(workloads, dict):
            return workloads
        return {
            key: {"name": str(key), **workload} if isinstance(workload, dict) else workload
            for key, workload in workloads.items()
        }

    @model_validator(mode="wrap")
    @classmethod
    def _every_mistake_at_once(
        cls, value: Any, handler: ModelWrapValidatorHandler["MatrixFile"], info: ValidationInfo
    ) -> "MatrixFile":
        """The context is what files were planned with: SHA-256 by path."""
        written = written_out(value)
        whole, unpinned = pinned(written.value, info.context or {})
        document, details = _read(whole, handler)
        spoilt = {detail["loc"][:2] for detail in written.broken}  # told where the sweep is wrong
        found = {
            (written.place(detail["loc"]), str(detail["type"])): detail
            for detail in details
            if detail["loc"][:2] not in spoilt
        }  # what a sweep's workloads share is wrong in each of them, and told once
        told = unpinned
        if document is not None:
            kept = _positions(whole, details)
            known = {section: list(whole[section]) for section in ("models", "workloads")}
            known["workloads"] += list(written.sweeps)
            told += mistakes(document, known, kept)
        every = [*written.broken, *(again(detail, place) for (place, _), detail in found.items())]
        placed = dict.fromkeys((written.place(at), what) for at, what in told)
        every += map(raisable, [*written.mistakes, *placed])
        if every or document is None:
            raise ValidationError.from_exception_data(cls.__name__, every)
        return document

    def workload(self, name: str, model: str) -> Workload:
        """As it is asked of that model: conversations are in its tokens."""
        found = self.workloads[name]
        if found.file is None or found.file.holds is not Holds.CONVERSATIONS:
            return found
        file = found.file.model_copy(update={"tokenizer": self.models[model].tokenizer})
        return found.model_copy(update={"file": file})


def _read(
    value: Any, handler: ModelWrapValidatorHandler[MatrixFile]
) -> tuple[MatrixFile | None, list[InitErrorDetails]]:
    """(the document, or what of it is sound, or None; what is wrong with its keys)."""
    try:
        return handler(value), []
    except ValidationError as error:
        details = [again(detail, detail["loc"]) for detail in error.errors(include_url=False)]
        return _sound_part(value, details, handler), details


def mistakes(
    document: MatrixFile, known: dict[str, list[str]], positions: list[int]
) -> Iterator[Mistake]:
    """What is wrong with cells whose keys are right; `positions`: their places in the file."""
    for key, workload in document.workloads.items():
        if workload.name != key:
            yield (
                ("workloads", key, "name"),
                f"a workload is called by its key; write {key} or nothing",
            )
    seen: dict[str, int] = {}
    for position, entry in zip(positions, document.families, strict=True):
        place: Place = ("families", position)
        yield from _unknown(entry, known, place)
        if entry.model not in document.models:
            continue
        for family in entry.families(document.models[entry.model].model):
            first = seen.setdefault(family.slug, position)
            if first != position:
                yield place, f"{family.slug} is already families[{first}]; merge the two"
            served = [document.workloads[n] for n in entry.workloads if n in document.workloads]
            for field, what in obstacles(family, served):
                yield ((*place, field) if field else place), what
        yield from _unsuited(entry, document, place)


def _unknown(entry: FamilyEntry, known: dict[str, list[str]], place: Place) -> Iterator[Mistake]:
    if entry.model not in known["models"]:
        yield (*place, "model"), f"no such model{_meant(entry.model, known['models'])}"
    for at, name in enumerate(entry.workloads):
        if name not in known["workloads"]:
            meant = _meant(name, known["workloads"])
            yield (*place, "workloads", at), f"no such workload{meant}"
        elif name in entry.workloads[:at]:
            yield (*place, "workloads", at), f"{name} is listed twice; keep one"
    for key in ("engine", "precision", "gpu"):
        listed = getattr(entry, key)
        if len(set(listed)) < len(listed):
            yield (*place, key), "lists a value twice; keep one"


def _unsuited(entry: FamilyEntry, document: MatrixFile, place: Place) -> Iterator[Mistake]:
    """Workloads that this model cannot be asked."""
    for at, name in enumerate(entry.workloads):
        if name not in document.workloads:
            continue
        asked, here = document.workloads[name], (*place, "workloads", at)
        if asked.longest_total > entry.max_model_len:
            prompt, answer = asked.input_tokens.longest, asked.output_tokens.longest
            total = f"prompt {prompt} + answer {answer} = {prompt + answer} tokens"
            if asked.longest_total < prompt + answer:
                total = f"prompt and answer up to {asked.longest_total} tokens"
            yield here, f"{name}: {total}, max_model_len is {entry.max_model_len}"
        text = asked.file is not None and asked.file.holds is Holds.CONVERSATIONS
        if text and document.models[entry.model].tokenizer is None:
            yield here, f"{name} has conversations: name the `tokenizer` of models.{entry.model}"


def _sound_part(
    value: Any, details: list[InitErrorDetails], handler: ModelWrapValidatorHandler[MatrixFile]
) -> MatrixFile | None:
    """The document without its broken entries, so that the others can be checked; None if empty."""
    if any(len(detail.get("loc", ())) < 2 and _matters(detail) for detail in details):
        return None
    broken = {tuple(detail["loc"][:2]) for detail in details}
    sound: dict[str, Any] = {
        section: {
            key: entry for key, entry in value[section].items() if (section, key) not in broken
        }
        for section in ("models", "workloads")
    }
    kept = set(_positions(value, details))
    sound["families"] = [entry for at, entry in enumerate(value["families"]) if at in kept]
    try:
        return handler(sound)
    except ValidationError:
        return None


def _matters(detail: InitErrorDetails) -> bool:
    """Whether the sections cannot be read because of it: all but unknown keys and `launches`."""
    return detail["type"] != "extra_forbidden" and detail["loc"] != ("launches",)


def _positions(value: Any, details: list[InitErrorDetails]) -> list[int]:
    """Places of the family entries that have nothing wrong in themselves."""
    broken = {detail["loc"][1] for detail in details if detail["loc"][0] == "families"}
    return [at for at in range(len(value["families"])) if at not in broken]


def _meant(given: str, known: list[str]) -> str:
    return did_you_mean(given, known) or f"; known: {', '.join(known)}"
