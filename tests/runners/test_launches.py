"""Launches of a fake engine through the real protocol: what is in the document, what is left."""

import fcntl
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runners import device, measuring
from runners.builds.environment import EnvironmentProvisioner
from runners.device import lock_path, open_lock
from runners.keeper import TERM_GRACE_S, descendants
from runners.launch import Options, launch, may_pass
from runners.telemetry.watch import Watch
from schema.arrivals import Arrival
from schema.cells import Cell, Engine, Gpu
from schema.latencies import latencies
from schema.nights import PlannedLaunch
from schema.trials import Launch, TrialState

CellMaker = Callable[..., Cell]
PlanMaker = Callable[..., PlannedLaunch]
Launcher = Callable[..., Launch]
EngineProcesses = Callable[[], list[int]]


FROM_A_FILE = {
    "file": {"path": "nowhere.csv", "sha256": "0" * 64},
    "input_tokens": {"longest": 16},
    "output_tokens": {"longest": 16},
}


def only_reason(document: Launch) -> str:
    """Why its one trial failed."""
    (trial,) = document.trials
    assert trial.state is TrialState.FAILED
    assert trial.measurements == {}
    assert trial.reason is not None
    return trial.reason


def test_a_sound_launch_measures_every_cell_of_the_family(
    run_launch: Launcher,
    make_plan: PlanMaker,
    make_cell: CellMaker,
    engine_processes: EngineProcesses,
) -> None:
    cells = (
        make_cell(),
        make_cell(name="open-50", arrival=Arrival.OPEN_LOOP, rate=50.0),
        make_cell(name="offline", arrival=Arrival.OFFLINE),
    )
    document = run_launch(make_plan(*cells))
    assert [(t.cell, t.state, t.reason) for t in document.trials] == [
        (cell, TrialState.VALID, None) for cell in cells
    ]
    for trial in document.trials:
        assert len(trial.requests) == 12
        assert len(latencies(trial.requests).itl) == 12 * 11
        assert trial.measurements["e2e_p50"] > trial.measurements["ttft_p50"] > 0
        assert trial.measurements["startup_s"] == document.startup_s
        assert trial.measurements["kv_cache_capacity"] == 4096
        assert trial.measurements["weight_memory"] == 1.5 * 2**30
        assert trial.server["output_tokens"] == 12 * 12
        assert trial.server["client_kernel_stamps"] in {0.0, 1.0}
        assert trial.server["client_lag_p99_s_0"] >= 0
    assert not engine_processes()


def test_a_document_tells_how_the_engine_ran(run_launch: Launcher, tmp_path: Path) -> None:
    document = run_launch()
    assert (document.build.version, document.build.digest) == ("0.32.0", "sha256:fake")
    assert "--served-model-name" in document.command
    assert document.environment["VLLM_TARGET_DEVICE"] == "cpu"
    assert document.effective["model_config.enforce_eager"] == "True"
    assert "GPU KV cache size: 4,096 tokens" in document.log_tail
    assert document.caches_warm is False
    assert {reading.device for reading in document.telemetry} == {"cpu"}
    assert Launch.model_validate_json(document.model_dump_json()) == document


def test_a_document_that_is_kept_after_a_trial_has_what_the_engine_said_during_it(
    run_launch: Launcher, make_plan: PlanMaker, make_cell: CellMaker
) -> None:
    grown: list[Launch] = []
    run_launch(make_plan(make_cell(), make_cell(name="again")), {"grown": grown.append})
    assert [len(document.trials) for document in grown] == [1, 2]
    assert "JIT compilation during inference: fused_moe_kernel" in grown[0].log_tail


def test_the_caches_of_a_build_are_warm_the_second_time(run_launch: Launcher) -> None:
    assert [run_launch().caches_warm for _ in range(2)] == [False, True]


def test_overhead_is_all_but_start_load_and_other_peoples_turns(run_launch: Launcher) -> None:
    document = run_launch()
    steps = document.phases_s
    load = sum(steps[name] for name in ("wait", "start", "warm_up", "measure"))
    assert document.overhead_s == pytest.approx(document.duration_s - load)
    assert {"prepare", "ask", "check", "stop"} <= set(steps)
    assert sum(steps.values()) <= document.duration_s


def test_a_slow_settings_page_is_read_while_the_engine_warms_up(run_launch: Launcher) -> None:
    document = run_launch(info_s=0.4, ttft_s=0.2)  # a warm-up of two windows takes 0.8 s
    assert document.effective["model_config.dtype"] == "torch.bfloat16"
    assert document.phases_s["ask"] < 0.4


def test_the_launch_leaves_this_process_as_it_was(run_launch: Launcher) -> None:
    cores, files = os.sched_getaffinity(0), len(list(Path("/proc/self/fd").iterdir()))
    run_launch()
    assert os.sched_getaffinity(0) == cores
    assert len(list(Path("/proc/self/fd").iterdir())) == files


@pytest.mark.parametrize(
    ("behaviour", "check"),
    [
        ({"cache_hits": 16}, "prefix_cache_hits: "),
        ({"missing_tokens": 1}, "token_counts: "),
        ({"error_every": 5}, "failed_requests: "),
    ],
)
def test_a_failed_check_makes_the_trial_invalid_and_keeps_its_numbers(
    run_launch: Launcher, behaviour: dict[str, float], check: str
) -> None:
    document = run_launch(**behaviour)
    (trial,) = document.trials
    assert trial.state is TrialState.INVALID
    assert (trial.reason or "").startswith(check)
    assert trial.measurements["ttft_p50"] > 0
    assert may_pass(document)


def test_an_engine_that_heeds_sigterm_is_not_waited_for(run_launch: Launcher) -> None:
    """It must not inherit the keeper's deafness to signals, or every stop takes the whole grace."""
    assert run_launch().phases_s["stop"] < TERM_GRACE_S


def test_an_engine_that_dies_at_the_start_tells_its_last_words(
    run_launch: Launcher, engine_processes: EngineProcesses
) -> None:
    document = run_launch(die_at_start=1)
    assert only_reason(document).startswith("EngineDied: exit code 3")
    assert "CUDA out of memory" in only_reason(document)
    assert "CUDA out of memory" in document.log_tail
    assert document.startup_s is None
    assert may_pass(document)
    assert not engine_processes()


def test_an_engine_that_is_never_healthy_is_given_up(
    run_launch: Launcher, engine_processes: EngineProcesses
) -> None:
    document = run_launch(options={"ready_within_s": 3}, never_healthy=1)
    assert only_reason(document).startswith("EngineNotReady: not healthy after 3 s")
    assert "GPU KV cache size" in only_reason(document)
    assert not engine_processes()


def test_what_cannot_be_started_says_so(run_launch: Launcher, monkeypatch: Any) -> None:
    monkeypatch.setattr("runners.engines.vllm.Vllm.command", lambda *_: ["/no/python"])
    assert "cannot start /no/python: No such file" in only_reason(run_launch())


@pytest.mark.parametrize(
    "request_number",
    [3, 20],  # in the warm-up; in the measured window or the warm-up before it
)
def test_an_engine_that_dies_under_load_fails_its_trial(
    run_launch: Launcher, engine_processes: EngineProcesses, request_number: int
) -> None:
    reason = only_reason(run_launch(die_after=request_number))
    assert reason.startswith("EngineDied: exit code 1")
    assert "illegal memory access" in reason
    assert not engine_processes()


MOST_BEFORE = 12 + 8 * (measuring.MOST_WINDOWS + 1)
"""A streamed request that the first cell cannot reach: its window and all its warm-up."""


def test_cells_after_the_engines_death_failed_as_well(
    run_launch: Launcher, make_plan: PlanMaker, make_cell: CellMaker
) -> None:
    many = make_cell(name="many", requests=200, concurrency=16)
    document = run_launch(
        make_plan(make_cell(), many, make_cell(name="last")), die_after=MOST_BEFORE
    )
    first, *others = document.trials
    assert (first.state, first.reason) == (TrialState.VALID, None)
    assert {trial.state for trial in others} == {TrialState.FAILED}
    [why] = {trial.reason for trial in others}
    assert why is not None
    assert why.startswith("EngineDied: ")


def test_an_engine_that_hangs_is_told_from_a_slow_one(
    run_launch: Launcher, engine_processes: EngineProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.server.require_answering.__defaults__", (0.5,))
    document = run_launch(options={"request_timeout_s": 0.7}, hang_after=20)
    assert only_reason(document).startswith("EngineHung: requests failed, and a further one got no")
    assert not engine_processes()


def test_another_server_on_the_port_is_not_measured(run_launch: Launcher) -> None:
    reason = only_reason(run_launch(other_name=1))
    assert reason.startswith("ForeignServer: ")
    assert "serves 'somebody-else'" in reason
    assert "end it and try again" in reason


@contextmanager
def all_places_taken() -> Iterator[None]:
    """Somebody else's launches hold this host."""
    with ExitStack() as stack:
        for number in range(device.CPU_PLACES):
            lock = open_lock(f"cpu-{number}")
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.pwrite(lock, b"process 17: a launch", 0)
        yield


def test_a_device_that_another_launch_holds_is_refused_with_its_holder(
    run_launch: Launcher,
) -> None:
    with all_places_taken():
        document = run_launch(options={"device_within_s": 0.2})
    assert only_reason(document).startswith("DeviceBusy: cpu-0 and cpu-1 taken by process 17: a la")
    assert may_pass(document)


def test_another_launch_on_the_device_is_waited_for(
    run_launch: Launcher,
) -> None:
    with ExitStack() as stack:
        stack.enter_context(all_places_taken())
        timer = threading.Timer(1.0, stack.pop_all().close)
        timer.start()
        document = run_launch(options={"device_within_s": 20.0})
        timer.join()
    assert document.trials[0].state is TrialState.VALID
    assert document.phases_s["wait"] > 0.5


def test_lock_files_are_for_every_user_of_the_host(alone: Path) -> None:
    os.close(open_lock("cpu-0"))
    assert lock_path("cpu-0").parent == alone
    assert lock_path("cpu-0").stat().st_mode & 0o777 == 0o666


def test_a_build_that_is_not_there_fails_without_another_attempt(
    run_launch: Launcher, make_plan: PlanMaker
) -> None:
    document = run_launch(make_plan(build="vllm==0.31.0"))
    assert "has vllm 0.32.0, not 0.31.0" in only_reason(document)
    assert document.build.digest == "not provided"
    assert not may_pass(document)


def test_an_unknown_variant_fails_with_the_known_ones(
    run_launch: Launcher, make_plan: PlanMaker
) -> None:
    document = run_launch(make_plan(build="vllm==0.32.0+turbo"))
    assert "unknown variant +turbo; known are +eager (" in only_reason(document)
    assert not may_pass(document)


@pytest.mark.parametrize(
    ("family", "build", "seen"),
    [
        ({"engine": Engine.SGLANG}, "sglang==0.5.17", "sglang has no package for CPU hosts"),
        ({"gpu": Gpu.H100}, "vllm==0.32.0", "the cell needs 1 x h100; this host has no NVIDIA GPU"),
    ],
)
def test_a_cell_that_this_host_cannot_serve_fails_without_another_attempt(
    run_launch: Launcher,
    make_plan: PlanMaker,
    make_cell: CellMaker,
    monkeypatch: pytest.MonkeyPatch,
    family: dict[str, Any],
    build: str,
    seen: str,
) -> None:
    monkeypatch.setattr("runners.cards.describe", lambda: ((), None, None))
    document = run_launch(make_plan(make_cell(family), build=build))
    assert seen in only_reason(document)
    assert not may_pass(document)


def test_a_full_disk_is_a_failed_trial_not_a_crash(
    run_launch: Launcher, tmp_path: Path, engine_processes: EngineProcesses
) -> None:
    (tmp_path / "home").write_text("not a folder")
    assert only_reason(run_launch()).startswith(("NotADirectoryError: ", "FileExistsError: "))
    assert not engine_processes()


def test_a_build_variant_changes_the_command(run_launch: Launcher, make_plan: PlanMaker) -> None:
    document = run_launch(make_plan(build="vllm==0.32.0+eager"))
    assert document.command[-1] == "--enforce-eager"
    assert document.build.version == "0.32.0+eager"
    assert document.trials[0].state is TrialState.VALID


def test_engines_see_no_secrets(run_launch: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    seen: list[bytes] = []

    def look(keeper: int) -> list[int]:
        pids = descendants(keeper)
        seen.extend(Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
        return pids

    monkeypatch.setattr(measuring, "descendants", look)
    document = run_launch()
    assert seen
    assert not any(b"xoxb-secret" in one for one in seen)
    assert "xoxb-secret" not in document.model_dump_json()


def test_the_engine_of_a_dead_keeper_is_swept_by_the_next_launch(
    run_launch: Launcher,
    engine_processes: EngineProcesses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Watch.__enter__

    def enter_and_kill_the_keeper(watch: Watch) -> Watch:
        deadline = time.monotonic() + 5
        while not descendants(watch._keeper) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(watch._keeper, 9)
        return real(watch)

    with monkeypatch.context() as patched:
        patched.setattr(Watch, "__enter__", enter_and_kill_the_keeper)
        assert only_reason(run_launch(ignore_term=1)).startswith("EngineDied: exit code -9")
    assert engine_processes()
    assert run_launch().trials[0].state is TrialState.VALID
    assert not engine_processes()


def test_a_launch_may_start_while_another_is_idle(
    alone: Path, make_plan: PlanMaker, run_launch: Launcher
) -> None:
    lock = open_lock("cpu-0")
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert run_launch().trials[0].state is TrialState.VALID
    finally:
        os.close(lock)


def test_launching_needs_an_installed_build_not_a_database(
    alone: Path, make_plan: PlanMaker, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    document = launch(make_plan(), EnvironmentProvisioner(home), Options(home=home))
    assert "vllm==0.32.0 is not installed at" in only_reason(document)


def test_a_cell_whose_file_is_gone_fails_alone(
    run_launch: Launcher,
    make_plan: PlanMaker,
    make_cell: CellMaker,
    engine_processes: EngineProcesses,
) -> None:
    gone = make_cell(name="gone", **FROM_A_FILE)
    document = run_launch(make_plan(gone, make_cell()))
    lost, measured = document.trials
    assert (lost.state, lost.seed, lost.measurements) == (TrialState.FAILED, 0, {})
    assert lost.reason is not None
    assert lost.reason.startswith("BadRequestFile: no file nowhere.csv in ")
    assert measured.state is TrialState.VALID
    assert not engine_processes()


def test_no_engine_starts_for_files_that_are_gone(
    run_launch: Launcher, make_plan: PlanMaker, make_cell: CellMaker
) -> None:
    document = run_launch(make_plan(make_cell(name="gone", **FROM_A_FILE)))
    assert only_reason(document).startswith("BadRequestFile: no file nowhere.csv in ")
    assert (document.command, document.log_tail, document.startup_s) == ((), "", None)
    assert not may_pass(document)


def test_options_can_be_handed_to_another_process(tmp_path: Path) -> None:
    options = Options(home=tmp_path)
    assert pickle.loads(pickle.dumps(options)) == options
