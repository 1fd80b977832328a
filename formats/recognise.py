"""Which tool wrote a file: by what it holds, never by what it is called."""

from collections.abc import Callable
from dataclasses import dataclass

from formats import (
    aiperf,
    aiperf_records,
    atom,
    github_action,
    guidellm,
    inferencex,
    sglang,
    vllm,
)
from formats.content import Content, content_of
from formats.errors import Unreadable
from formats.text import text_of
from schema.imports import ImportedFile, ImportedTrial, Tool
from schema.words import digest


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How files of some tools are recognised and read."""

    tools: tuple[Tool, ...]
    recognises: Callable[[Content], bool]
    read: Callable[[Content], list[ImportedTrial]]


READERS = (
    Reader(tools=(Tool.VLLM, Tool.VLLM_LATENCY), recognises=vllm.recognises, read=vllm.read),
    Reader(tools=(Tool.SGLANG,), recognises=sglang.recognises, read=sglang.read),
    Reader(tools=(Tool.GUIDELLM,), recognises=guidellm.recognises, read=guidellm.read),
    Reader(tools=(Tool.AIPERF,), recognises=aiperf.recognises, read=aiperf.read),
    Reader(tools=(Tool.AIPERF,), recognises=aiperf_records.recognises, read=aiperf_records.read),
    Reader(tools=(Tool.INFERENCEX,), recognises=inferencex.recognises, read=inferencex.read),
    Reader(tools=(Tool.ACTION,), recognises=github_action.recognises, read=github_action.read),
    Reader(tools=(Tool.ATOM,), recognises=atom.recognises, read=atom.read),
)


def read(name: str, data: bytes, tool: Tool | None = None) -> ImportedFile:
    """Every trial of a file; `tool` says whose it is, else its content does.

    Raises Unreadable, and nothing else whatever the bytes are.
    """
    try:
        content = content_of(text_of(data))
        trials = _reader(content, tool).read(content)
    except RecursionError as error:
        raise Unreadable("is nested too deeply") from error
    if not trials:
        raise Unreadable("holds no trial")
    first: dict[str, ImportedTrial] = {}
    for trial in trials:
        first.setdefault(trial.key, trial)
    return ImportedFile(
        name=name,
        content=digest(data.hex()),
        tool=trials[0].tool,
        generation=trials[0].generation,
        trials=tuple(first.values()),
    )


def _reader(content: Content, tool: Tool | None) -> Reader:
    """The one that recognises the content; one that was named may read what none recognises."""
    known = [reader for reader in READERS if reader.recognises(content)]
    named = [reader for reader in READERS if tool in reader.tools]
    chosen = [reader for reader in known if not named or reader in named]
    if len(chosen) == 1:
        return chosen[0]
    whose = ", ".join(tool for reader in known for tool in reader.tools)
    if known and named:
        raise Unreadable(f"is of {whose}, not of {tool}; leave --as away")
    if known:
        raise Unreadable(f"could be of {whose}; --as TOOL says whose it is")
    if not named or content.rows:
        raise Unreadable(f"is of no known tool{_seen(content)}; --as TOOL may say whose it is")
    return named[0]


def _seen(content: Content) -> str:
    names = [str(key)[:40] for key in content.header or content.first][:6]
    return f" (it begins with {', '.join(names)})" if names else ""
