"""tailwatch matrix."""

import argparse

from schema.matrix import load_matrix
from schema.memory import fit
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "matrix",
        run_matrix,
        "check a matrix and print its cells with the arithmetic of their memory",
        "  tailwatch matrix nightly\n  tailwatch matrix matrices/ours.yaml",
    )
    parser.add_argument("matrix", metavar="NAME_OR_FILE", help="a name in matrices/, or a file")


def run_matrix(arguments: argparse.Namespace) -> int:
    matrix = load_matrix(arguments.matrix)
    families = matrix.families()
    for family, cells in families.items():
        result(fit(family, [cell.workload for cell in cells]).explanation)
        for cell in cells:
            result(f"  {cell.slug}")
    tell(
        f"matrix {matrix.name} ({matrix.digest}): {len(matrix.cells)} cells in {len(families)} "
        f"families, {matrix.launches} launches of each a night"
    )
    return 0
