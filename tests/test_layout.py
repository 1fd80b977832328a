"""The rooms: whose names are free, which doors are shut, and how large a room may be."""

import ast
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINTER = PROJECT["tool"]["importlinter"]
PACKAGES: list[str] = LINTER["root_packages"]
CONTRACTS: dict[str, str] = {entry["id"]: entry["name"] for entry in LINTER["contracts"]}
LONGEST_MODULE = 250
LONGEST_FUNCTION = 30

FORBIDDEN = {
    # contract: a file that may not say this
    "layers": ("regressions/planted.py", "import alerts"),
    "pure-stats": ("stats/planted.py", "import sqlalchemy"),
    "pure-vocabulary": ("schema/words.py", "import schema.tables"),
    "runners-know-the-vocabulary-only": ("runners/planted.py", "import numpy"),
    "formats-are-pure": ("formats/planted.py", "import sqlalchemy"),
    "dags-do-not-draw": ("dags/planted.py", "import streamlit"),
    "the-dashboard-only-reads": ("dashboard/planted.py", "import httpx"),
    "one-door-to-slack": ("runners/planted.py", "import slack_sdk"),
}


def modules() -> list[Path]:
    """Python files of the packages, without migrations, which are written by a generator."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in files if "versions" not in path.parts]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_dependency_provides_our_names() -> None:
    """An editable install comes after site-packages: a namesake there would be imported instead."""
    provided = packages_distributions()
    taken = {name: set(provided.get(name, ())) - {"tailwatch"} for name in PACKAGES}
    assert not {name: dists for name, dists in taken.items() if dists}


@pytest.mark.parametrize("folder", ["dags", "dashboard"])
def test_script_folders_shadow_nothing(folder: str) -> None:
    """Airflow and Streamlit put these folders themselves on sys.path."""
    found = {path.stem for path in (ROOT / folder).iterdir()} - {"__init__", "__pycache__"}
    taken = set(PACKAGES) | sys.stdlib_module_names | packages_distributions().keys()
    assert not found & taken


def test_every_package_is_checked_and_installed() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == set(PACKAGES)
    assert PROJECT["tool"]["mypy"]["packages"] == PACKAGES
    assert [f"{name}*" for name in PACKAGES] == PROJECT["tool"]["setuptools"]["packages"]["find"][
        "include"
    ]


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed beside this Python")
    return subprocess.run(
        [str(command), "--no-cache", "--no-logo", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The packages and their contracts, free to be broken."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_every_contract(copied: Path) -> None:
    checked = lint(copied)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_contract_has_been_seen_to_fail() -> None:
    assert FORBIDDEN.keys() == CONTRACTS.keys()


@pytest.mark.parametrize("contract", FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract(copied: Path, contract: str) -> None:
    name, line = FORBIDDEN[contract]
    with (copied / name).open("a") as module:
        module.write(f"\n{line}\n")
    checked = lint(copied, "--contract", contract)
    assert checked.returncode == 1
    told = " ".join(checked.stdout.split())  # the report is wrapped at the width of a terminal
    assert f"{CONTRACTS[contract]} BROKEN" in told
    module_name = name.removesuffix(".py").replace("/", ".")
    assert f"{module_name} -> {line.removeprefix('import ')}" in told


def test_package_files_are_empty() -> None:
    """Or importing one word of the vocabulary would bring a database along."""
    filled = [named(path) for path in modules() if path.name == "__init__.py" and path.read_text()]
    assert not filled


def test_modules_are_short() -> None:
    long = {named(path): len(path.read_text().splitlines()) for path in modules()}
    assert not {path: lines for path, lines in long.items() if lines > LONGEST_MODULE}


def test_function_bodies_are_short() -> None:
    """Without signature and docstring: those get long by saying more, not by doing more."""
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node) is not None and len(node.body) > 1
                first = node.body[1 if documented else 0]
                lines = (node.end_lineno or first.lineno) - first.lineno + 1
                long[f"{named(path)}:{node.lineno} {node.name}"] = lines
    assert not {place: lines for place, lines in long.items() if lines > LONGEST_FUNCTION}


def test_an_engine_is_never_imported_into_the_service() -> None:
    """Each build has an environment of its own; a runner starts it as a process."""
    provided = packages_distributions()
    assert not {"vllm", "sglang", "torch"} & provided.keys()
