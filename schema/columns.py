"""What the tables' columns are made of: names of constraints, types, and words as text."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from schema.cells import Engine, Gpu, Precision
from schema.episodes import EpisodeState
from schema.imports import Tool
from schema.judgements import Verdict
from schema.nights import NightKind
from schema.trials import Arm, Artefact, TrialState

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

Key = Annotated[str, mapped_column(primary_key=True)]
"""A key of the vocabulary: the same thing recorded twice is one row."""
Big = Annotated[int, mapped_column(BigInteger)]
Recorded = Annotated[datetime, mapped_column(server_default=func.now())]
Day = Annotated[date, mapped_column(index=True)]
Json = dict[str, Any]


class Choice(TypeDecorator[StrEnum]):
    """A word of a StrEnum, kept as text so that a further word needs no change of type."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        return None if value is None else self.words(value)


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """Refuses what is not a word of the StrEnum."""
    known = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({known})", name=column)


def finite(column: str) -> CheckConstraint:
    """Refuses the infinities, and NaN: Postgres orders it above infinity."""
    return CheckConstraint(f"{column} > '-Infinity' AND {column} < 'Infinity'", name="finite")


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        float: Double,
        int: Integer,
        datetime: DateTime(timezone=True),
        Json: JSONB,
        list[Json]: JSONB,
        list[str]: ARRAY(Text),
        list[float]: ARRAY(Double),
        list[int]: ARRAY(Integer),
        **{
            words: Choice(words)
            for words in (
                *(Engine, Gpu, Precision, Verdict, NightKind, Arm, Artefact, TrialState),
                *(EpisodeState, Tool),
            )
        },
    }
