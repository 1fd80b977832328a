"""Documents that runners wrote, in a folder: plain, compressed, or many of them in an archive."""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from runners.telemetry import readings
from schema.nights import Night
from schema.stalls import stall_measurements
from schema.trials import Launch, Trial
from schema.words import Word

Kind = TypeVar("Kind", bound=Word)

PLAIN: dict[str, Callable[[bytes], bytes]] = {
    ".json": bytes,
    ".json.gz": gzip.decompress,
    ".json.xz": lzma.decompress,
}
TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz")
ARCHIVES = (*TARS, ".zip")
UNREADABLE = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
    ValueError,  # among them what is no JSON, and JSON that is another word
)


class Documents:
    """`NAME.night.json` and `NAME.launch.json` below a folder, also .gz, .xz and in archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: dict[str, str] = {}
        """What could not be read so far: the file, and why."""

    def nights(self) -> Iterator[tuple[str, Night]]:
        """(file, plan) of every night."""
        return self._all("night", Night)

    def launches(self) -> Iterator[tuple[str, Launch]]:
        """(file, document) of every launch, with what earlier code did not measure."""
        for name, launch in self._all("launch", Launch):
            trials = tuple(_measured(launch, trial) for trial in launch.trials)
            yield name, launch.model_copy(update={"trials": trials})

    def _all(self, word: str, kind: type[Kind]) -> Iterator[tuple[str, Kind]]:
        for name, content in self._files(word):
            ending = next(end for end in PLAIN if name.endswith(f".{word}{end}"))
            try:
                document = kind.model_validate_json(PLAIN[ending](content))
            except UNREADABLE as error:
                self.broken[name] = f"not a {word} document: {error}"
            else:
                yield name, document

    def _files(self, word: str) -> Iterator[tuple[str, bytes]]:
        endings = tuple(f".{word}{end}" for end in PLAIN)
        for path in sorted(self.folder.rglob("*")):
            if not path.name.endswith((*endings, *ARCHIVES)):
                continue
            try:
                for name, content in _contents(path):
                    if name.endswith(endings):
                        yield name, content
            except UNREADABLE as error:
                self.broken[str(path)] = f"cannot be read: {error}"


def _measured(launch: Launch, trial: Trial) -> Trial:
    """The trial with metrics that came after its document, from what the document holds."""
    later = {**_stalls(trial), **_busy(launch, trial)}
    return trial.model_copy(update={"measurements": {**trial.measurements, **later}})


def _stalls(trial: Trial) -> dict[str, float]:
    throughput, seconds = trial.measurements.get("output_throughput"), trial.duration_s
    if throughput is None or seconds is None or "stall_time" in trial.measurements:
        return {}
    return stall_measurements(trial.requests, trial.cell.workload, seconds, throughput)


def _busy(launch: Launch, trial: Trial) -> dict[str, float]:
    if trial.started_at is None or trial.duration_s is None or "gpu_busy" in trial.measurements:
        return {}
    begin_s = (trial.started_at - launch.started_at).total_seconds()
    uuids = [card.uuid for card in launch.host.cards]
    share = readings.busy(launch.telemetry, uuids, begin_s, begin_s + trial.duration_s)
    return {} if share is None else {"gpu_busy": share}


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of a file, or of each file in an archive."""
    if path.name.endswith(TARS):
        with tarfile.open(path) as tar:
            for member in tar:
                if (opened := tar.extractfile(member)) is not None:
                    yield f"{path}/{member.name}", opened.read()
    elif path.name.endswith(ARCHIVES):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield f"{path}/{name}", packed.read(name)
    else:
        yield str(path), path.read_bytes()
