"""The model's tokenizer: text to the ids that its server would make of it."""

from collections.abc import Callable
from dataclasses import dataclass

from runners.errors import BadRequestFile


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Both ways to count text."""

    prompt: Callable[[str], list[int]]
    """With what the model puts before a prompt, such as the begin-of-sequence id."""
    answer: Callable[[str], list[int]]
    """The words alone."""


def load(content: bytes, name: str) -> Tokenizer:
    """From a tokenizer.json of Hugging Face, or a SentencePiece model.

    Raises BadRequestFile when it is neither.
    """
    try:
        return _hugging_face(content) if content.lstrip()[:1] == b"{" else _sentence_piece(content)
    except ImportError as error:
        why = f"{error}; install requirements/runner.txt"
    except Exception as error:  # noqa: BLE001 - tokenizers raises no narrower one
        why = f"is neither a tokenizer.json nor a SentencePiece model: {error}"
    raise BadRequestFile(f"{name}: {why}")


def _hugging_face(content: bytes) -> Tokenizer:
    from tokenizers import Tokenizer as HuggingFace  # only where text is turned into tokens

    model = HuggingFace.from_str(content.decode())
    model.no_truncation()
    model.no_padding()
    return Tokenizer(
        prompt=lambda text: list(model.encode(text).ids),
        answer=lambda text: list(model.encode(text, add_special_tokens=False).ids),
    )


def _sentence_piece(content: bytes) -> Tokenizer:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor()
    model.LoadFromSerializedProto(content)
    begins = model.bos_id() >= 0
    return Tokenizer(
        prompt=lambda text: list(model.encode(text, add_bos=begins)),
        answer=lambda text: list(model.encode(text)),
    )
