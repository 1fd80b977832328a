"""An engine with a model split over two workers, from the matrix to the document, on a real CPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from runners import device
from runners.builds.environment import EnvironmentProvisioner
from runners.launch import Options, launch
from schema.cells import Gpu
from schema.matrix import load_matrix
from schema.memory import kv_bytes
from schema.nights import Night, NightKind, PlannedLaunch
from schema.session import reading, writing
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.trials import trials_of_night
from schema.trials import Arm, BuildSpec, Launch, TrialState
from tailwatch.home import REPOSITORY

pytestmark = [pytest.mark.long, pytest.mark.engine, pytest.mark.timeout(1200)]

BUILD, NIGHT = BuildSpec.parse("vllm==0.32.0"), "2026-11-22-split"
BUSY = {"client_lag_p99", "foreign_cpu", "late_sends_p99", "merged_reads", "warm"}
"""Checks that judge how busy this machine is: two workers and the client share its cores."""


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> PlannedLaunch:
    """The demo's family with experts, over two workers."""
    path = tmp_path_factory.mktemp("matrix") / "split.yaml"
    demo = (REPOSITORY / "matrices" / "demo.yaml").read_text()
    path.write_text(demo.replace("    gpu: cpu\n", "    gpu: cpu\n    tensor_parallel: 2\n"))
    cells = load_matrix(str(path)).matching(["tiny-mixtral/bf16/cpu/tp2/enforce-eager/closed-4"])
    return PlannedLaunch(night=NIGHT, arm=Arm.NIGHTLY, build=BUILD, cells=cells, replicate=0)


@pytest.fixture(scope="module")
def document(
    planned: PlannedLaunch, tmp_path_factory: pytest.TempPathFactory, kept_engines: Path
) -> Launch:
    home = tmp_path_factory.mktemp("host")
    (home / "engines").symlink_to(kept_engines)
    provisioner = EnvironmentProvisioner(home)
    provisioner.provision(BUILD, Gpu.CPU)
    return launch(planned, provisioner, Options(home=home))


def test_two_workers_answer_every_token_that_was_asked(document: Launch) -> None:
    (trial,) = document.trials
    assert trial.state is not TrialState.FAILED, trial.reason
    assert {check.name for check in trial.checks if not check.passed} <= BUSY
    assert trial.measurements["output_throughput"] > 0
    assert document.effective["parallel_config.tensor_parallel_size"] == "2"
    assert "Worker_TP1" in document.log_tail


def test_each_worker_holds_a_slice_of_the_cache(document: Launch) -> None:
    (trial,) = document.trials
    family, values = trial.cell.family, trial.measurements
    assert family.kv_cache_bytes == values["kv_cache_memory"]  # of one worker
    assert values["kv_cache_capacity"] == family.kv_cache_bytes // kv_bytes(family, 1)


def test_no_worker_outlives_the_launch(document: Launch) -> None:
    assert document.trials
    assert device.leftovers(("cpu-0", "cpu-1")) == []


def test_the_trial_is_recorded_as_any_other(
    document: Launch,
    planned: PlannedLaunch,
    new_database: Callable[[], AbstractContextManager[str]],
) -> None:
    with new_database() as url:
        with writing(url) as session:
            record_night(session, _night(planned))
            assert record(session, document) == 1
        with reading(url) as session:
            (told,) = trials_of_night(session, NIGHT)
    assert told.cell_slug == "vllm/tiny-mixtral/bf16/cpu/tp2/enforce-eager/closed-4"


def _night(planned: PlannedLaunch) -> Night:
    return Night(
        name=NIGHT,
        kind=NightKind.NIGHTLY,
        matrix="split",
        matrix_digest="0",
        contenders=(str(BUILD),),
        cells=planned.cells,
        launches=1,
    )
