"""`python -m runners`: one launch by hand."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.__main__ import main
from runners.bundles import begin
from schema.trials import Launch

InterpreterMaker = Callable[..., str]

THIRD_PARTY = """
import json, sys
{imports}
ours = {{"runners", "schema"}}
found = {{name.partition(".")[0] for name in sys.modules if "_sysconfigdata" not in name}}
print(json.dumps(sorted(found - set(sys.stdlib_module_names) - ours)))
"""
NEEDS = "import annotated_types, httpx, packaging.version, pydantic, pynvml, yaml"


def third_party(imports: str) -> set[str]:
    """Top-level modules that do not come with Python, in a fresh process after these imports."""
    program = THIRD_PARTY.format(imports=imports)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_a_runner_needs_few_packages() -> None:
    """A GPU host installs these and no database driver, no Airflow, no numbers library."""
    assert third_party("import runners.launch, runners.__main__") <= third_party(NEEDS)


def test_an_execution_needs_only_what_an_engine_brings() -> None:
    brought = f"import annotated_types, {', '.join(begin.NEEDS)}, packaging.version, pynvml"
    assert third_party("import runners.bundles.execute") <= third_party(brought)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "python -m runners demo:tiny-mixtral --build vllm==0.32.0" in said
    assert "cells of a matrix" in said
    assert "needs docker" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo:tiny-llama", "--build", "vllm"], "'vllm' is not ENGINE==VERSION with engine vllm"),
        (["demo:tiny-llama", "--build", "tgi==1.0"], "with engine vllm or sglang"),
        (["demo:tiny-llama", "--build", "vllm==new"], "'new' is not a PEP 440 version"),
        (["tiny-llama", "--build", "vllm==0.32.0"], "not MATRIX:TEXT, such as demo:tiny-mixtral"),
        (["demo:nothing", "--build", "vllm==0.32.0"], "it names:\n  none"),
        (["demo:tiny", "--build", "vllm==0.32.0"], "must name cells of one family; it names:"),
        (["dema:tiny", "--build", "vllm==0.32.0"], "there is no matrix dema; did you mean demo"),
        (["no.yaml:tiny", "--build", "vllm==0.32.0"], "cannot be read: No such file"),
        (["demo:tiny-llama", "--build", "vllm==0.32.0+turbo"], "unknown variant +turbo"),
        (["demo:tiny-llama", "--build", "sglang==0.5.17"], "sglang has no package for CPU hosts"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_starts(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path))
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("runners: ") == 1
    assert "Traceback" not in said.err


def test_python_and_image_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["demo:tiny", "--build", "vllm==0.32.0", "--image", "--python", "python3"])
    assert left.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_a_launch_that_failed_is_a_document_and_exit_1(
    alone: Path,
    interpreter: InterpreterMaker,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path / "home"))
    python = interpreter(die_at_start=1)
    assert main(["demo:tiny-llama", "--build", "vllm==0.32.0", "--python", python]) == 1
    document = Launch.model_validate_json(capsys.readouterr().out)
    assert [trial.cell.workload.name for trial in document.trials] == ["closed-4", "open-8"]
    assert all("CUDA out of memory" in (trial.reason or "") for trial in document.trials)
