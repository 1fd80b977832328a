"""Orders: what Airflow hands from the plan to a host. Names only; the host has what they name."""

from typing import Any

from schema.data_files import data_files
from schema.matrix import Matrix, load_matrix
from schema.nights import PlannedLaunch
from schema.trials import Arm, BuildSpec
from schema.words import Word


class StaleMatrix(Exception):
    """This host's matrix differs from the one that was planned with."""


class Order(Word):
    """One launch by its names."""

    night: str
    matrix: str
    matrix_digest: str
    cells: tuple[str, ...]
    """Slugs."""
    build: str
    arm: Arm
    replicate: int
    files: dict[str, str]
    """SHA-256 of the matrix's files by path. Where one is missing or another, the cells that need
    it fail, and no others."""


def order(planned: PlannedLaunch, matrix: Matrix) -> dict[str, Any]:
    """The JSON that travels through Airflow."""
    return Order(
        night=planned.night,
        matrix=matrix.name,
        matrix_digest=matrix.digest,
        cells=tuple(cell.slug for cell in planned.cells),
        build=str(planned.build),
        arm=planned.arm,
        replicate=planned.replicate,
        files={file.path: file.sha256 for file in data_files(matrix.cells)},
    ).model_dump(mode="json")


def planned_launch(received: dict[str, Any]) -> PlannedLaunch:
    """What an order means on this host; raises StaleMatrix when the host has other cells."""
    asked = Order.model_validate(received)
    matrix = load_matrix(asked.matrix, planned=asked.files)
    if matrix.digest != asked.matrix_digest:
        raise StaleMatrix(
            f"matrix {asked.matrix} here is {matrix.digest}, planned was {asked.matrix_digest}: "
            "bring this host to the same commit"
        )
    return PlannedLaunch(
        night=asked.night,
        arm=asked.arm,
        build=BuildSpec.parse(asked.build),
        cells=matrix.select(asked.cells),
        replicate=asked.replicate,
    )
