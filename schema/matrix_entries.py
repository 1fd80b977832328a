"""The entries of a matrix file: models with their tokenizer, and families with what they serve."""

from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, field_validator

from schema.cells import Engine, Family, Gpu, KvCacheDtype, Precision
from schema.models import Model
from schema.request_files import DataFile
from schema.trials import BuildSpec
from schema.words import Word

T = TypeVar("T")
Setting = str | int | float | bool | None


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _build(value: Any) -> Any:
    return BuildSpec.parse(value) if isinstance(value, str) else value


Builds = Annotated[
    tuple[Annotated[BuildSpec, BeforeValidator(_build)], ...], BeforeValidator(_as_list)
]
"""One or several, each written as `vllm==0.30.0`."""
OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]


class ModelEntry(Model):
    """A model, and what turns text into its tokens."""

    tokenizer: DataFile | None = None
    """tokenizer.json or a SentencePiece model; needed by workloads of conversations only."""

    @property
    def model(self) -> Model:
        """Without the tokenizer: naming one makes no other family."""
        return Model(**self.model_dump(exclude={"tokenizer"}))


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


def _text(value: Setting) -> str | None:
    return None if value is None or value is True else str(value)
