"""Which requests of its file a workload asks."""

import random
from collections.abc import Iterator
from functools import lru_cache

from runners.errors import BadRequestFile
from runners.recorded import conversations, lengths, tokenizer
from runners.recorded.shape import Shape
from schema.arrivals import Pattern
from schema.cells import Workload
from schema.data_files import DataFileError, content
from schema.request_files import DataFile, Holds, RequestFile


def choose(
    workload: Workload, file: RequestFile, source: random.Random, vocabulary: int
) -> list[Shape]:
    """As many as the workload asks, each at most once.

    With recorded times they are the first ones and keep their order: a trace is what it is.
    Otherwise the seed chooses. What is shorter or longer than the workload says is left out.
    Raises BadRequestFile when the file cannot be used or has too few.
    """
    if file.holds is Holds.CONVERSATIONS:
        found = _tokenised(file, source, vocabulary)
    elif workload.pattern is Pattern.RECORDED:
        found = iter(_in_time(file))
    else:
        shapes = _shapes(file)
        found = iter(source.sample(shapes, len(shapes)))
    kept: list[Shape] = []
    for shape in found:
        if len(kept) == workload.requests:
            break
        if _fits(shape, workload, file):
            kept.append(shape)
    if len(kept) < workload.requests:
        raise BadRequestFile(
            f"{file.path}: {len(kept)} of its requests are within the lengths of {workload.name}, "
            f"{workload.requests} are asked; ask for fewer, or let longer ones in"
        )
    return kept


def forget() -> None:
    """Let go of the files that were read: a launch needs them only until it has drawn."""
    _shapes.cache_clear()
    _pairs.cache_clear()


@lru_cache(maxsize=1)
def _shapes(file: RequestFile) -> tuple[Shape, ...]:
    """Read once for all workloads of a sweep."""
    return lengths.read(_content(file), file.path)


@lru_cache(maxsize=1)
def _pairs(file: RequestFile) -> tuple[conversations.Pair, ...]:
    """Read once for all workloads of a sweep."""
    return conversations.read(_content(file), file.path)


def _content(file: DataFile) -> bytes:
    try:
        return content(file)
    except DataFileError as error:
        raise BadRequestFile(str(error)) from error


def _in_time(file: RequestFile) -> list[Shape]:
    shapes = _shapes(file)
    timed = [(shape.at_s, shape) for shape in shapes if shape.at_s is not None]
    if len(timed) < len(shapes):
        known = ", ".join(dialect.at for dialect in lengths.DIALECTS)
        raise BadRequestFile(f"{file.path}: has no times; one of {known} should tell them")
    return [shape for _, shape in sorted(timed, key=lambda item: item[0])]


def _fits(shape: Shape, workload: Workload, file: RequestFile) -> bool:
    prompt, answer = shape.input_tokens, shape.output_tokens
    within = prompt <= workload.input_tokens.longest and answer <= workload.output_tokens.longest
    return within and file.keeps(prompt, answer)


def _tokenised(file: RequestFile, source: random.Random, vocabulary: int) -> Iterator[Shape]:
    """In random order, one at a time: tokenising all of ShareGPT would take minutes."""
    if file.tokenizer is None:
        raise BadRequestFile(f"{file.path}: no tokenizer is named for its conversations")
    model = tokenizer.load(_content(file.tokenizer), file.tokenizer.path)
    pairs = _pairs(file)
    for asked, answered in source.sample(pairs, len(pairs)):
        prompt = tuple(model.prompt(asked))
        if max(prompt, default=0) >= vocabulary:
            raise BadRequestFile(
                f"{file.tokenizer.path}: makes token {max(prompt)}, the model has {vocabulary}; "
                "name the tokenizer of this model"
            )
        answer = len(model.answer(answered))
        yield Shape(input_tokens=len(prompt), output_tokens=answer, prompt=prompt)
