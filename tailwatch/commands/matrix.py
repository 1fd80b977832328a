"""tailwatch matrix."""

import argparse

from runners.errors import BadRequestFile
from runners.workload import draw
from schema.cells import Cell
from schema.matrix import Matrix, load_matrix
from schema.memory import fit
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result, tell
from tailwatch.workload_text import described, drawn


def register(commands: Commands) -> None:
    parser = add(
        commands,
        "matrix",
        run_matrix,
        "check a matrix; print its workloads, and its cells with the arithmetic of their memory",
        "  tailwatch matrix nightly\n  tailwatch matrix matrices/ours.yaml --draw",
    )
    parser.add_argument("matrix", metavar="NAME_OR_FILE", help="a name in matrices/, or a file")
    parser.add_argument(
        "--draw",
        action="store_true",
        help="draw every workload once, as replicate 0 of its first cell would, and show lengths, "
        "arrivals and first requests; reads the workloads' files",
    )


def run_matrix(arguments: argparse.Namespace) -> int:
    matrix = load_matrix(arguments.matrix)
    wrong = _tell_workloads(matrix, draws=arguments.draw)
    families = matrix.families()
    for family, cells in families.items():
        result(fit(family, [cell.workload for cell in cells]).explanation)
        for cell in cells:
            result(f"  {cell.slug}")
    control = f", in turns with {', '.join(map(str, matrix.control))}" if matrix.control else ""
    tell(
        f"matrix {matrix.name} ({matrix.digest}): {len(matrix.cells)} cells in {len(families)} "
        f"families, {matrix.launches} launches of each a night{control}"
    )
    if wrong:
        raise BadRequestFile("\n".join(wrong))
    return 0


def _tell_workloads(matrix: Matrix, *, draws: bool) -> list[str]:
    """Each workload once; returns what is wrong with their files."""
    first: dict[str, Cell] = {}
    for cell in matrix.cells:
        first.setdefault(cell.workload.name, cell)
    wrong: dict[str, None] = {}
    for cell in first.values():
        result(described(cell.workload))
        if not draws:
            continue
        vocabulary = cell.family.model.vocabulary
        try:
            drafts = draw(cell.workload, seed=cell.workload.seed, vocabulary=vocabulary)
        except BadRequestFile as error:
            wrong[str(error)] = None
        else:
            for line in drawn(cell.workload, drafts):
                result(f"  {line}")
    return list(wrong)
