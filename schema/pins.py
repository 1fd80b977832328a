"""Pins: a matrix names its files by path, and its cells know them by content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schema.data_files import absent, locate
from schema.places import Mistake, Place

UNKNOWN = "0" * 64
"""Stands for the content of a file that is not here; the mistake about it is told."""


def pinned(document: Any, planned: Mapping[str, str]) -> tuple[Any, list[Mistake]]:
    """The matrix as written, with the content of every file that it names, and what is wrong.

    A file whose `sha256` is written need not be here: a host that only plans has no data. What
    was `planned` with (SHA-256 by path) is not looked at: the trial that needs it will tell.
    """
    if not isinstance(document, dict):
        return document, []
    pins = _Pins(planned=planned)
    found = dict(document)
    for section, key in (("workloads", "file"), ("models", "tokenizer")):
        entries = document.get(section)
        if isinstance(entries, dict):
            found[section] = {
                name: pins.entry(entry, key, (section, name)) for name, entry in entries.items()
            }
    return found, pins.told


@dataclass(kw_only=True)
class _Pins:
    planned: Mapping[str, str]
    told: list[Mistake] = field(default_factory=list)
    hashed: dict[Path, str] = field(default_factory=dict)
    """Several workloads may share a large file."""

    def entry(self, entry: Any, key: str, place: Place) -> Any:
        """A model or workload with the content of its file."""
        if not isinstance(entry, dict) or entry.get(key) is None:
            return entry
        file = {"path": entry[key]} if isinstance(entry[key], str) else entry[key]
        if not isinstance(file, dict) or not isinstance(file.get("path"), str):
            return {**entry, key: file}  # what is wrong with it is told by its words
        return {**entry, key: self._pinned(file, (*place, key))}

    def _pinned(self, file: dict[str, Any], place: Place) -> dict[str, Any]:
        if file["path"] in self.planned:
            return {**file, "sha256": self.planned[file["path"]]}
        found, given = locate(file["path"]), file.get("sha256")
        if found is None:
            if given is None:
                self.told.append(((*place, "path"), absent(file["path"])))
            return {"sha256": UNKNOWN, **file}
        try:
            sha256 = self._sha256(found)
        except OSError as error:
            self.told.append(((*place, "path"), f"{found} cannot be read: {error.strerror}"))
            sha256 = given or UNKNOWN
        if given not in (None, sha256):
            what = f"{found} has {sha256}; write this, or bring the file"
            self.told.append(((*place, "sha256"), what))
        return {**file, "sha256": given or sha256}

    def _sha256(self, found: Path) -> str:
        if found not in self.hashed:
            with found.open("rb") as opened:
                self.hashed[found] = hashlib.file_digest(opened, "sha256").hexdigest()
        return self.hashed[found]
