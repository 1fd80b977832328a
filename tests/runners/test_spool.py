"""The spool: whole documents or none."""

import gzip
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.errors import SpoolError
from runners.spool import ENDING, keep, read, waiting
from schema.cells import Cell
from schema.nights import PlannedLaunch
from schema.trials import Launch

PlanMaker = Callable[..., PlannedLaunch]
CellMaker = Callable[..., Cell]

KEEP = """
import resource, sys
from pathlib import Path
from runners.errors import SpoolError
from runners.spool import keep
from schema.trials import Launch
document = Launch.model_validate_json(sys.stdin.read())
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
try:
    keep(document, Path(sys.argv[1]))
except SpoolError as error:
    print(error)
"""


@pytest.fixture
def document(make_plan: PlanMaker, run_launch: Callable[..., Launch]) -> Launch:
    """A launch that could not be made: the smallest true document."""
    return run_launch(make_plan(build="vllm==0.31.0"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_is_read_again(document: Launch, tmp_path: Path) -> None:
    path = keep(document, tmp_path / "spool")
    assert path == tmp_path / "spool" / document.night / f"{document.key}{ENDING}"
    assert read(path) == document


def test_keeping_twice_changes_nothing(document: Launch, tmp_path: Path) -> None:
    first = keep(document, tmp_path / "spool").read_bytes()
    assert keep(document, tmp_path / "spool").read_bytes() == first
    assert files(tmp_path / "spool") == [f"{document.key}{ENDING}"]


def test_documents_wait_oldest_night_first(document: Launch, tmp_path: Path) -> None:
    nights = ["2026-11-23", "2026-11-21", "2026-11-22"]
    for night in nights:
        keep(document.model_copy(update={"night": night}), tmp_path / "spool")
    assert [path.parent.name for path in waiting(tmp_path / "spool")] == sorted(nights)
    assert [path.parent.name for path in waiting(tmp_path / "spool", "2026-11-21")] == [nights[1]]


def test_an_empty_spool_has_nothing_waiting(tmp_path: Path) -> None:
    assert list(waiting(tmp_path / "nowhere")) == []


def test_a_full_disk_is_one_message_and_leaves_nothing(document: Launch, tmp_path: Path) -> None:
    large = document.model_copy(update={"log_tail": "".join(map(str, range(20_000)))})
    done = subprocess.run(
        [sys.executable, "-c", KEEP, str(tmp_path / "spool")],
        input=large.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"cannot keep a launch in {tmp_path / 'spool' / large.night}: File too large; "
        "nothing of it was stored. Make room or name another folder with TAILWATCH_HOME, "
        "then run it again\n"
    )
    assert done.stderr == ""
    assert files(tmp_path / "spool") == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_spool_that_is_no_folder_is_one_message(document: Launch, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(SpoolError, match=r"cannot keep a launch in .*TAILWATCH_HOME"):
        keep(document, tmp_path / "spool")


@pytest.mark.parametrize("damage", ["cut", "bits", "no gzip", "other words", "missing"])
def test_an_unreadable_document_names_its_file(
    document: Launch, tmp_path: Path, damage: str
) -> None:
    path = keep(document, tmp_path / "spool")
    whole = path.read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "bits": whole[:40] + bytes(byte ^ 0xFF for byte in whole[40:80]) + whole[80:],
        "no gzip": b"{}",
        "other words": gzip.compress(b'{"night": 1}'),
    }
    if damage in damaged:
        path.write_bytes(damaged[damage])
    else:
        path.unlink()
    with pytest.raises(SpoolError, match=f"{document.key}.*: not a launch document: "):
        read(path)
