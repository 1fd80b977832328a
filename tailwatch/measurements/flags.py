"""With which flags the engines were started. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from regressions.sentences import counted

ADDRESS = ("--model", "--model-path", "--served-model-name", "--host", "--port")
"""Flags that say where an engine is, not what it does."""

EXPLAINED = """\
Flags that every launch of a build had; those of a model, a precision or a split came on top, and
[each trial's page](dashboard.md) shows all. Why SGLang's attention is not the one that it would
choose itself: [decision 32](decisions/0032-which-attention-sglang-runs.md)."""


def shared_flags(commands: Mapping[str, Sequence[Sequence[str]]]) -> Iterator[str]:
    """A line a build that started; `commands` has those of its launches by its name."""
    started = {build: [flags(one) for one in own if one] for build, own in commands.items()}
    yield EXPLAINED
    yield ""
    for build, own in sorted(started.items()):
        if own:
            told = " ".join(_shared(own)) or "none"
            yield f"- {build}, {counted(len(own), 'engine start')}: `{told}`"
    yield ""


def flags(command: Sequence[str]) -> list[str]:
    """Each with its value, `--dtype bfloat16`, without those of the address."""
    found: list[str] = []
    for word in command:
        if word.startswith("--"):
            found.append(word)
        elif found:
            found[-1] += f" {word}"
    return [own for own in found if own.partition(" ")[0] not in ADDRESS]


def _shared(launches: Sequence[Sequence[str]]) -> list[str]:
    """What all have, in the order of the first."""
    return [own for own in launches[0] if all(own in other for other in launches)]
