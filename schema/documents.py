"""YAML files that people write, read strictly: every mistake at once, with file, line and key."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schema.spelling import did_you_mean
from schema.words import Word

W = TypeVar("W", bound=Word)
KeyPath: TypeAlias = tuple[str | int, ...]

FIRST_LINE = 1
QUOTED = re.compile(r"'([^']*)'")


class BadDocument(Exception):
    """A file cannot be used; `messages` holds every mistake as `file:line: key: what`."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = tuple(messages)


class _Mistakes:
    """Collects mistakes with their lines, so that they can be told together and in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[tuple[int, str]] = []

    def add(self, line: int, path: KeyPath, what: str) -> None:
        key = f"{_dotted(path)}: " if path else ""
        self.found.append((line, f"{self.name}:{line}: {key}{what}"))

    def tell(self) -> BadDocument:
        return BadDocument([text for _, text in sorted(self.found, key=lambda item: item[0])])


class _Content:
    """A composed document as plain values, with the line of every key and item."""

    def __init__(self, mistakes: _Mistakes) -> None:
        self.mistakes = mistakes
        self.lines: dict[KeyPath, int] = {(): FIRST_LINE}
        self._loader = yaml.SafeLoader("")
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Plain value of the node; mistakes in it are collected and leave None behind."""
        if any(node is outer for outer in self._open):
            self.mistakes.add(_line(node), path, "refers to itself; write the value out")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, (*path, at)) for at, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def line(self, path: KeyPath) -> int:
        """Line of the deepest part of the path that the file contains."""
        known: KeyPath = ()
        for part in path:
            if (*known, part) in self.lines:
                known = (*known, part)
        return self.lines[known]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.add(_line(key_node), path, "a key must be a plain word")
                continue
            key = self._scalar(key_node, path)
            inner = (*path, key)
            if key in values:
                first = self.lines[inner]
                self.mistakes.add(
                    _line(key_node), inner, f"given twice, first on line {first}; keep one"
                )
                continue
            self.lines[inner] = _line(key_node)
            values[key] = self.value(value_node, inner)
        return values

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines[path] = _line(node)
        return self.value(node, path)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        try:
            return self._loader.construct_object(node)
        except yaml.constructor.ConstructorError as error:
            self.mistakes.add(_line(node), path, str(error.problem))
        except ValueError as error:  # looks like a date or a number and is none
            self.mistakes.add(_line(node), path, f"{error}; put it in quotes if it is text")
        return None


def read_yaml(path: Path, model: type[W], *, context: Any = None) -> W:
    """The file as a `model`; raises BadDocument with all its mistakes, or why it is unreadable.

    `context` is what the model's validators get beside the file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadDocument([f"{path}:{FIRST_LINE}: cannot be read: {error.strerror}"]) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadDocument([f"{path}:{line}: is not UTF-8 text; save it as UTF-8"]) from error
    return parse_yaml(text, model, name=str(path), context=context)


def parse_yaml(text: str, model: type[W], *, name: str, context: Any = None) -> W:
    """As read_yaml, from text; `name` is what the messages call the file."""
    mistakes = _Mistakes(name)
    node = _compose(text, mistakes)
    content = _Content(mistakes)
    value = content.value(node, ())
    if not isinstance(value, dict):
        mistakes.add(FIRST_LINE, (), "should be `key: value` lines")
        raise mistakes.tell()
    try:
        word = model.model_validate(value, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path, what = _explain(detail, model)
            mistakes.add(content.line(path), path, what)
    if mistakes.found:
        raise mistakes.tell()
    return word


def _compose(text: str, mistakes: _Mistakes) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, [error.context, error.problem]))
        mistakes.add(FIRST_LINE if mark is None else mark.line + 1, (), f"is not YAML: {what}")
        raise mistakes.tell() from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        mistakes.add(line, (), f"is not YAML: {error.reason}")
        raise mistakes.tell() from error
    if node is None:
        mistakes.add(FIRST_LINE, (), "is empty")
        raise mistakes.tell()
    return node


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _dotted(path: KeyPath) -> str:
    """cells[2].workload.rate"""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).lstrip(".")


def _explain(detail: ErrorDetails, model: type[Word]) -> tuple[KeyPath, str]:
    """Where the mistake is, and what to do about it."""
    path = tuple(part for part in detail["loc"] if not str(part).startswith("["))
    if detail["type"] == "missing":
        return path, "is missing"
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return path, f"is not a key here{_meant(str(path[-1]), known)}"
    what = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    if detail["type"] == "value_error" or isinstance(given, (dict, list)):
        return path, what
    options = QUOTED.findall(what) if detail["type"] in {"enum", "literal_error"} else []
    return path, f"{what}, not {given!r}{_meant(str(given), options)}"


def _meant(given: str, known: list[str]) -> str:
    """The likely intention, else all that was possible."""
    every = f"; known: {', '.join(known)}" if known and len(known) <= 30 else ""
    return did_you_mean(given, known) or every


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Keys that the model takes at a path; positions and free keys stay on the same level."""
    models = [model]
    for part in path:
        fields = [inner.model_fields[part] for inner in models if part in inner.model_fields]
        if fields:
            models = [found for field in fields for found in _models_in(field.annotation)]
    return [name for inner in models for name in inner.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
