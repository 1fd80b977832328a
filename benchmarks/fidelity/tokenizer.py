"""A tokenizer for the tools that want one: a token for each byte, made here and nowhere loaded."""

import json
from pathlib import Path

END = "</s>"


def byte_letters() -> list[str]:
    """The printable letter that stands for each byte in byte-level vocabularies (GPT-2)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    letters |= {byte: chr(256 + at) for at, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def write(folder: Path) -> Path:
    """In Hugging Face's form; returns the folder."""
    vocabulary = {letter: at for at, letter in enumerate([*byte_letters(), END])}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    special = {"id": vocabulary[END], "content": END, "special": True, "normalized": False}
    edges = {"single_word": False, "lstrip": False, "rstrip": False}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [special | edges],
        "pre_tokenizer": level | {"use_regex": True},
        "decoder": level | {"use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "model_max_length": 65536,
    }
    shape = {"model_type": "llama", "vocab_size": len(vocabulary)}
    folder.mkdir(parents=True, exist_ok=True)
    files = {"tokenizer.json": tokenizer, "tokenizer_config.json": settings, "config.json": shape}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder
