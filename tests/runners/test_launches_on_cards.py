"""SGLang, cards and telemetry through the real protocol, on a host with two made-up cards."""

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runners import cards, device
from runners.bundles.engines import ProvidedEngines, devices_here, obstacle
from runners.keeper import TERM_GRACE_S
from runners.telemetry import readings
from runners.telemetry.watch import Watch
from schema.cells import Cell, Engine, Gpu
from schema.nights import PlannedLaunch
from schema.trials import Launch, TrialState

GIB = 2**30
CellMaker = Callable[..., Cell]
PlanMaker = Callable[..., PlannedLaunch]
Launcher = Callable[..., Launch]


@pytest.fixture
def plan(two_cards: tuple[str, ...], make_plan: PlanMaker, make_cell: CellMaker) -> PlannedLaunch:
    family = {"engine": Engine.SGLANG, "gpu": Gpu.H100, "tensor_parallel": 2}
    return make_plan(make_cell(family), build="sglang==0.5.17")


def test_a_launch_of_sglang_is_measured(run_launch: Launcher, plan: PlannedLaunch) -> None:
    document = run_launch(plan)
    (trial,) = document.trials
    assert (trial.state, trial.reason) == (TrialState.VALID, None)
    assert document.command[1:3] == ("-m", "sglang.launch_server")
    assert (document.build.engine, document.build.version) == (Engine.SGLANG, "0.5.17")
    assert document.environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert document.environment["NCCL_NVLS_ENABLE"] == "0"
    assert document.host.nccl == "2.28.9"
    assert document.effective["version"] == "0.5.17"
    assert document.effective["disable_radix_cache"] == "True"
    assert "fired up and ready to roll" in document.log_tail
    assert trial.server["requests"] == 12
    assert 0 <= trial.server["telemetry_cpu_s"] < 0.5
    assert trial.server["output_tokens"] == 12 * 12
    assert trial.server["prompt_tokens"] == 12 * 16
    passed = {check.name for check in trial.checks if check.passed}
    assert {"engine_requests", "engine_tokens", "itl_agrees", "throttled"} <= passed


def test_its_memory_and_energy_are_known(run_launch: Launcher, plan: PlannedLaunch) -> None:
    document = run_launch(plan)
    (trial,) = document.trials
    values = trial.measurements
    assert values["weight_memory"] == 1.5 * GIB
    assert values["kv_cache_memory"] == 0.5 * GIB
    assert values["graph_memory"] == 0.25 * GIB
    assert values["kv_cache_capacity"] == 4096
    assert values["gpu_memory_peak"] == 2000 * 2**20
    tokens = values["output_throughput"]
    assert values["throughput_per_gpu_gb"] == pytest.approx(tokens / (3000 * 2**20 / 1e9))
    assert values["energy_per_token"] == pytest.approx(800 / tokens, rel=0.25)  # 800 W
    assert {reading.device for reading in document.telemetry} == {"cpu", "GPU-1", "GPU-2"}


def test_both_cards_must_be_free_of_other_launches(
    run_launch: Launcher, plan: PlannedLaunch
) -> None:
    with os.fdopen(device.open_lock("GPU-2"), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.pwrite(lock.fileno(), b"process 17: a launch", 0)
        document = run_launch(plan, options={"device_within_s": 0.2})
    assert document.trials[0].reason == (
        "DeviceBusy: GPU-2 taken by process 17: a launch: wait for it, or end it"
    )


def test_both_cards_must_be_free_of_strangers(
    run_launch: Launcher, plan: PlannedLaunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "processes", lambda uuids: {uuids[0]: [], uuids[1]: [4711]})
    (trial,) = run_launch(plan).trials
    assert (trial.reason or "").startswith(
        "DeviceBusy: a GPU is in use by others (GPU-2: processes [4711])"
    )


def test_what_an_engine_of_two_cards_left_is_found_by_either(alone: Path) -> None:
    left = subprocess.Popen(["sleep", "60"], env={device.MARK: "GPU-1,GPU-2"})
    try:
        assert device.leftovers(("GPU-1",)) == device.leftovers(("GPU-2", "GPU-3")) == [left.pid]
        assert device.leftovers(("GPU-3",)) == []
    finally:
        left.kill()
        left.wait()


def test_a_host_with_fewer_cards_leaves_a_launch_for_another(
    two_cards: tuple[str, ...], plan: PlannedLaunch, make_plan: PlanMaker, make_cell: CellMaker
) -> None:
    four = {"engine": Engine.SGLANG, "gpu": Gpu.H100, "tensor_parallel": 4}
    larger = make_plan(make_cell(four), build="sglang==0.5.17")
    engines = ProvidedEngines(["sglang==0.5.17"])
    assert obstacle(plan, engines, devices_here()) is None
    assert obstacle(larger, engines, devices_here()) == (
        "it needs 4 x h100, and this host has 2 (CUDA_VISIBLE_DEVICES counts)"
    )


def test_a_hit_of_its_prefix_cache_is_seen_although_the_counter_was_absent(
    run_launch: Launcher, plan: PlannedLaunch
) -> None:
    (trial,) = run_launch(plan, cache_hits=16).trials
    assert trial.state is TrialState.INVALID
    assert (trial.reason or "").startswith("prefix_cache_hits: ")


def test_sglang_is_stopped_by_sigterm_and_killed_when_it_ignores_it(
    run_launch: Launcher, plan: PlannedLaunch, engine_processes: Callable[[], list[int]]
) -> None:
    assert run_launch(plan).phases_s["stop"] < TERM_GRACE_S
    stubborn = run_launch(plan, ignore_term=1)
    assert stubborn.phases_s["stop"] >= TERM_GRACE_S
    assert stubborn.trials[0].state is TrialState.VALID
    assert not engine_processes()


def test_an_engine_that_was_started_again_behind_its_address_fails_the_trial(
    run_launch: Launcher, make_plan: PlanMaker, make_cell: CellMaker
) -> None:
    """Its counters begin again, and no difference of them means anything."""
    cell = make_cell(requests=200, concurrency=8)
    # in the measured window after 2 to 12 windows of warm-up with 8 requests each, and so late in
    # it that less is counted afterwards than before it
    (trial,) = run_launch(make_plan(cell), forget_after=215).trials
    assert trial.state is TrialState.FAILED
    assert (trial.reason or "").startswith("EngineRestarted: the engine's own counters fell")


@pytest.fixture
def telemetry_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the measured window begins."""
    real = Watch.now_s

    def now_s(watch: Watch) -> float:
        watch.process.kill()
        return real(watch)

    monkeypatch.setattr(Watch, "now_s", now_s)
    monkeypatch.setattr(readings, "LONGEST_GAP_S", 0.05)


DIED = "the telemetry process ended with exit code -9"


def test_without_telemetry_a_trial_on_cards_is_invalid_and_says_so(
    run_launch: Launcher, plan: PlannedLaunch, telemetry_dies: None
) -> None:
    (trial,) = run_launch(plan).trials
    assert trial.state is TrialState.INVALID
    assert trial.reason == f"throttled: whether the GPU was slowed down is not known: {DIED}"
    assert not {"gpu_memory_peak", "energy_per_token"} & set(trial.measurements)
    assert trial.not_estimable["gpu_memory_peak"] == DIED
    assert trial.not_estimable["energy_per_token"] == DIED
    assert trial.measurements["itl_p50"] > 0


def test_without_telemetry_a_trial_on_a_cpu_lacks_its_memory_only(
    run_launch: Launcher, telemetry_dies: None
) -> None:
    (trial,) = run_launch().trials
    assert trial.state is TrialState.VALID
    assert trial.not_estimable["host_memory_peak"] == DIED
    assert "host_memory_peak" not in trial.measurements
