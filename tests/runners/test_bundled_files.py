"""A bundle brings the files that its requests come from."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from runners.bundles import bundle
from runners.errors import BundleError
from schema.cells import Cell
from schema.data_files import WORKLOADS, data_files
from schema.matrix import load_matrix
from schema.nights import Bundle, Night, NightKind, PlannedLaunch
from schema.trials import Arm, BuildSpec

DRAW = """
from runners.bundles.bundle import read
from runners.drawing import draw_all
from pathlib import Path
import sys
drawn = draw_all(read(Path(sys.argv[1])).launches[0])
print(*sorted(slug for slug, requests in drawn.items() if isinstance(requests, tuple)))
"""


@pytest.fixture
def cells() -> tuple[Cell, ...]:
    """Those of the example whose requests come from files."""
    return tuple(cell for cell in load_matrix("workloads").cells if cell.workload.file)


@pytest.fixture
def packed(cells: tuple[Cell, ...]) -> Bundle:
    build = BuildSpec.parse("vllm==0.32.0")
    night = Night(
        name="2026-11-22",
        kind=NightKind.NIGHTLY,
        matrix="workloads",
        matrix_digest="1",
        contenders=(str(build),),
        cells=cells,
        launches=1,
    )
    planned = PlannedLaunch(
        night=night.name, arm=Arm.NIGHTLY, replicate=0, build=build, cells=cells
    )
    return Bundle(night=night, launches=(planned,))


def test_a_host_without_the_files_draws_every_request_from_the_bundle(
    packed: Bundle, cells: tuple[Cell, ...], tmp_path: Path
) -> None:
    path = tmp_path / "night.pyz"
    bundle.write(packed, path)
    with zipfile.ZipFile(path) as members:
        members.extractall(tmp_path / "code")
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRAW, str(path)],
        env={"PYTHONPATH": str(tmp_path / "code")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == sorted(cell.slug for cell in cells)


def test_a_file_that_changed_since_it_was_planned_with_is_not_packed(
    packed: Bundle, cells: tuple[Cell, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(WORKLOADS, tmp_path / "files")
    changed = tmp_path / "files" / data_files(cells)[0].path
    changed.write_bytes(changed.read_bytes() + b"\n")
    monkeypatch.setenv("TAILWATCH_WORKLOADS", str(tmp_path / "files"))
    with pytest.raises(BundleError, match="is not the file that was planned with"):
        bundle.write(packed, tmp_path / "night.pyz")
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
