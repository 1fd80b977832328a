"""tailwatch export."""

import argparse
from pathlib import Path

from regressions.sentences import counted
from schema.session import reading
from schema.store.exports import SHEETS
from tailwatch.commands.parsing import Commands, add
from tailwatch.console import result
from tailwatch.databases import find_database
from tailwatch.errors import UsageError
from tailwatch.home import find_home

FORMATS = ("parquet", "csv", "jsonl")


def register(commands: Commands) -> None:
    listed = "\n".join(f"  {name:18} {sheet.help}" for name, sheet in SHEETS.items())
    parser = add(
        commands,
        "export",
        run_export,
        "write what is stored as Parquet, CSV or JSON lines, for pandas, DuckDB and the like",
        "  tailwatch export measurements -o values.parquet\n"
        "  tailwatch export imported-values -o theirs.csv\n\n"
        f"what there is:\n{listed}\n\n"
        "Column names end in their unit, values have it in column `unit`, times are UTC.",
    )
    parser.add_argument("what", choices=list(SHEETS), help="which rows")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--format", choices=FORMATS, help="default: by the file's ending")


def run_export(arguments: argparse.Namespace) -> int:
    path: Path = arguments.output
    kind = arguments.format or path.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"{path} does not end in .{', .'.join(FORMATS)}: add --format")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a folder")
    from tailwatch.sheet_files import (
        write_sheet,
    )  # Arrow takes long to load, and only this needs it

    with reading(find_database(find_home())) as store:
        sheet = SHEETS[arguments.what]
        written = write_sheet(sheet, sheet.rows(store), path, kind)
    result(f"{counted(written, 'row')} of {arguments.what} in {path}")
    return 0
