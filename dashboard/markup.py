"""Tables and headings as HTML: aligned figures and links that a browser opens in place. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    title: str
    figures: bool = False
    """Right-aligned, digits of one width."""
    short: bool = False
    """Never wrapped: dates and names."""
    hint: str = ""
    """Shown when the pointer rests on the title."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a table. Text is escaped; nothing else becomes HTML."""

    text: str
    below: str = ""
    """A second, quieter line."""
    link: str | None = None
    tone: str | None = None
    """Name of a verdict or state; gives a coloured mark before the text."""
    code: bool = False


def address(page: str, **parameters: str | None) -> str:
    """Relative, so that it also holds behind a proxy's path: `compare?night=..&cell=..`."""
    chosen = {name: value for name, value in parameters.items() if value is not None}
    return f"{page or './'}?{urlencode(chosen)}" if chosen else page or "./"


def table(columns: Sequence[Column], rows: Iterable[Sequence[Field]], *, name: str) -> str:
    """`name` identifies the table to screen readers and tests."""
    head = "".join(_title(column) for column in columns)
    body = "".join(f"<tr>{''.join(map(_field, columns, row))}</tr>" for row in rows)
    return (
        f'<table class="tw" aria-label="{escape(name)}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def facts(pairs: Mapping[str, str]) -> str:
    """Names and values under each other."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs.items()
    )
    return f'<dl class="tw">{rows}</dl>'


def headline(text: str, *, tone: str, below: Sequence[str]) -> str:
    """The sentence a reader came for, and quieter lines under it."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in below)
    return (
        f'<div class="tw-headline {_tone(tone)}">'
        f'<div role="heading" aria-level="1">{escape(text)}</div>{lines}</div>'
    )


def _title(column: Column) -> str:
    attributes = _class(column)
    if column.hint:
        attributes += f' title="{escape(column.hint)}"'
    return f"<th{attributes}>{escape(column.title)}</th>"


def _field(column: Column, field: Field) -> str:
    text = escape(field.text)
    if field.code:
        text = f"<code>{text}</code>"
    if field.link is not None:
        text = f'<a href="{escape(field.link)}" target="_self">{text}</a>'
    if field.tone is not None:
        text = f'<span class="tw-mark {_tone(field.tone)}"></span>{text}'
    if field.below:
        text += f"<small>{escape(field.below)}</small>"
    return f"<td{_class(column)}>{text}</td>"


def _class(column: Column) -> str:
    if column.figures:
        return ' class="figures"'
    return ' class="short"' if column.short else ""


def _tone(name: str) -> str:
    return f"tone-{name.replace(' ', '-')}"
