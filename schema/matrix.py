"""The matrix: the cells a night covers, read from a YAML file in `matrices/`."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from pydantic import Field

from schema.cells import Cell, Family
from schema.documents import read_yaml
from schema.matrix_file import MatrixFile
from schema.spelling import did_you_mean
from schema.trials import BuildSpec
from schema.words import Word, digest

MATRICES = Path(__file__).parents[1] / "matrices"
"""Where the matrices of this repository lie; a path leads to any other."""


class MatrixError(Exception):
    """The matrix does not hold what was asked of it."""


class UnknownMatrix(MatrixError):
    """There is no matrix of that name."""


class UnknownCells(MatrixError):
    """Cells were named that the matrix does not have."""


class Matrix(Word):
    """Cells that are measured together, and how often."""

    name: str
    launches: int = Field(gt=0)
    """Engine launches of each family in one night: the trials that each cell gets."""
    cells: tuple[Cell, ...] = Field(min_length=1)
    """In the order of the file: families one after the other."""
    control: tuple[BuildSpec, ...] = ()
    """Pinned builds, at most one an engine: a nightly measures them too, as its witnesses."""

    @cached_property
    def digest(self) -> str:
        """Changes with what is measured, not with comments, order or names inside the file."""
        control = [sorted(map(str, self.control))] if self.control else []
        return digest([self.launches, sorted(cell.key for cell in self.cells), *control])

    def select(self, slugs: Iterable[str]) -> tuple[Cell, ...]:
        """The cells of these slugs in the order of the matrix; no slugs select every cell.

        Raises UnknownCells with all slugs that it does not have and the nearest that it has.
        """
        wanted = set(slugs)
        known = [cell.slug for cell in self.cells]
        unknown = sorted(wanted - set(known))
        if unknown:
            told = [
                f"matrix {self.name} has no cell {slug}{_near(slug, known)}" for slug in unknown
            ]
            raise UnknownCells("\n".join(told))
        return tuple(cell for cell in self.cells if not wanted or cell.slug in wanted)

    def matching(self, parts: Iterable[str]) -> tuple[Cell, ...]:
        """The cells whose slugs contain any of these texts; no texts select every cell.

        Raises UnknownCells with every text that no slug contains.
        """
        asked = list(parts)
        idle = [part for part in asked if not any(part in cell.slug for cell in self.cells)]
        if idle:
            raise UnknownCells(
                "\n".join(f"matrix {self.name} has no cell like {part}" for part in idle)
                + f"\n`tailwatch matrix {self.name}` lists them"
            )
        return tuple(
            cell for cell in self.cells if not asked or any(part in cell.slug for part in asked)
        )

    def families(self, cells: Iterable[Cell] | None = None) -> dict[Family, tuple[Cell, ...]]:
        """The cells (all, or those given) by family: what one engine launch serves."""
        grouped: dict[Family, tuple[Cell, ...]] = {}
        for cell in self.cells if cells is None else cells:
            grouped[cell.family] = (*grouped.get(cell.family, ()), cell)
        return grouped


def load_matrix(name_or_path: str | Path, *, planned: Mapping[str, str] | None = None) -> Matrix:
    """The matrix of that name in `matrices/`, or in that file; it is called like the file.

    `planned` has the SHA-256 of files by path, as another host found them when it planned.
    Raises UnknownMatrix when there is none, BadDocument with every mistake in the file.
    """
    path = _path(name_or_path)
    document = read_yaml(path, MatrixFile, context=planned)
    cells = tuple(
        Cell(family=family, workload=document.workload(name, entry.model))
        for entry in document.families
        for family in entry.families(document.models[entry.model].model)
        for name in entry.workloads
    )
    return Matrix(name=path.stem, launches=document.launches, cells=cells, control=document.control)


def matrix_names() -> list[str]:
    """Names of the matrices in the repository."""
    return sorted(path.stem for path in MATRICES.glob("*.yaml"))


def _path(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1:
        return path
    if path.name not in matrix_names():
        known = ", ".join(matrix_names())
        near = _near(path.name, matrix_names())
        raise UnknownMatrix(f"there is no matrix {path.name}{near}; {MATRICES} has {known}")
    return MATRICES / f"{path.name}.yaml"


def _near(given: str, known: Iterable[str]) -> str:
    return did_you_mean(given, known, most=3, likeness=0.4)
