"""The file in which people write a matrix, and every mistake that can be made in it.

Models and workloads are named once and referred to by families. A family entry may list several
engines, precisions and GPU kinds: it stands for their product.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from schema.cells import Engine, Family, Gpu, KvCacheDtype, Precision, Workload
from schema.feasibility import obstacles
from schema.models import Model
from schema.words import Word

T = TypeVar("T")

Place = tuple[str | int, ...]
"""Where in the file: ("families", 0, "model")."""
Mistake = tuple[Place, str]
Setting = str | int | float | bool | None


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]


class FamilyEntry(Word):
    """Families that differ in engine, precision and GPU kind only, and what they serve."""

    engine: OneOrMore[Engine]
    model: str
    precision: OneOrMore[Precision]
    gpu: OneOrMore[Gpu]
    kv_cache_dtype: KvCacheDtype = KvCacheDtype.BF16
    tensor_parallel: int = Field(default=1, gt=0)
    expert_parallel: int = Field(default=1, gt=0)
    max_model_len: int = Field(gt=0)
    kv_cache_bytes: int | None = Field(default=None, gt=0)
    settings: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], Setting] = Field(
        default={}
    )
    """Engine flags without dashes; null or true for a flag that takes no value."""
    workloads: tuple[str, ...] = Field(min_length=1)

    @field_validator("settings")
    @classmethod
    def _flags_are_given_or_left_out(cls, settings: dict[str, Setting]) -> dict[str, Setting]:
        off = sorted(flag for flag, value in settings.items() if value is False)
        if off:
            raise ValueError(f"{', '.join(off)}: leave a flag out instead of setting it to false")
        return settings

    def families(self, model: Model) -> Iterator[Family]:
        """The product of what is listed, engines outermost."""
        settings = sorted((flag, _text(value)) for flag, value in self.settings.items())
        for engine in self.engine:
            for precision in self.precision:
                for gpu in self.gpu:
                    yield Family(
                        engine=engine,
                        model=model,
                        precision=precision,
                        gpu=gpu,
                        kv_cache_dtype=self.kv_cache_dtype,
                        tensor_parallel=self.tensor_parallel,
                        expert_parallel=self.expert_parallel,
                        max_model_len=self.max_model_len,
                        kv_cache_bytes=self.kv_cache_bytes,
                        settings=tuple(settings),
                    )


class MatrixFile(Word):
    """A matrix as written. Validation tells what is wrong with the cells too, not only the keys."""

    launches: int = Field(default=3, gt=0)
    models: dict[str, Model]
    workloads: dict[str, Workload]
    families: tuple[FamilyEntry, ...] = Field(min_length=1)

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
        cls, value: Any, handler: ModelWrapValidatorHandler["MatrixFile"]
    ) -> "MatrixFile":
        try:
            document, details = handler(value), []
        except ValidationError as error:
            details = [_again(detail) for detail in error.errors(include_url=False)]
            sound = _sound_part(value, details, handler)
            if sound is None:
                raise
            document = sound
        kept = _positions(value, details)
        known = {section: list(value[section]) for section in ("models", "workloads")}
        for place, what in mistakes(document, known, kept):
            told = PydanticCustomError("value_error", "{what}", {"what": what})
            details.append(InitErrorDetails(type=told, loc=place, input=None))
        if details:
            raise ValidationError.from_exception_data(cls.__name__, details)
        return document


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
        for family in entry.families(document.models[entry.model]):
            first = seen.setdefault(family.slug, position)
            if first != position:
                yield place, f"{family.slug} is already families[{first}]; merge the two"
            served = [document.workloads[n] for n in entry.workloads if n in document.workloads]
            for field, what in obstacles(family, served):
                yield ((*place, field) if field else place), what
        yield from _too_long(entry, document.workloads, place)


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


def _too_long(
    entry: FamilyEntry, workloads: dict[str, Workload], place: Place
) -> Iterator[Mistake]:
    for at, name in enumerate(entry.workloads):
        if name not in workloads:
            continue
        prompt, answer = workloads[name].input_tokens.longest, workloads[name].output_tokens.longest
        if prompt + answer > entry.max_model_len:
            total = f"prompt {prompt} + answer {answer} = {prompt + answer} tokens"
            yield (
                (*place, "workloads", at),
                f"{name}: {total}, max_model_len is {entry.max_model_len}",
            )


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


def _again(detail: Any) -> InitErrorDetails:
    """A reported mistake in the form in which it can be raised once more, with others."""
    return InitErrorDetails(
        type=detail["type"],
        loc=detail["loc"],
        input=detail["input"],
        ctx=detail.get("ctx", {}),
    )


def _text(value: Setting) -> str | None:
    return None if value is None or value is True else str(value)


def _meant(given: str, known: list[str]) -> str:
    close = get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
