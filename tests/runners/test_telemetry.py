"""Telemetry: what a span tells, and a process that neither outlives nor blocks a launch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners import cores
from runners.telemetry import metrics, readings
from runners.telemetry.processor import cpu_seconds, used_since
from runners.telemetry.watch import Span, Watch
from schema.cells import Gpu
from schema.trials import Telemetry

CORE = max(os.sched_getaffinity(0))


def card(at_s: float, **fields: float | None) -> Telemetry:
    return Telemetry.model_validate({"at_s": at_s, "device": "GPU-1", **fields})


@settings(deadline=None)
@given(
    begin=st.floats(0.5, 4.0),
    length=st.floats(0.1, 4.0),
    watts=st.floats(1.0, 700.0),
    jitter=st.lists(st.floats(-0.05, 0.05), min_size=50, max_size=50),
)
def test_the_energy_of_a_constant_power_is_power_times_time(
    begin: float, length: float, watts: float, jitter: list[float]
) -> None:
    """Whatever moments the counter was read at: its ends are interpolated."""
    moments = [number * 0.2 + off for number, off in enumerate(jitter)]
    seen = [card(at, energy_j=1000 + watts * at) for at in moments]
    found = readings.energy_j(seen, ("GPU-1",), begin, begin + length)
    assert found == pytest.approx(watts * length)


def test_energy_needs_every_card_and_readings_around_the_span() -> None:
    seen = [card(at, energy_j=10 * at) for at in (1.0, 2.0, 3.0)]
    assert readings.energy_j(seen, ("GPU-1",), 1.0, 3.0) == 20
    assert readings.energy_j(seen, ("GPU-1",), 0.5, 3.0) is None
    assert readings.energy_j(seen, ("GPU-1",), 1.0, 3.5) is None
    assert readings.energy_j(seen, ("GPU-1", "GPU-2"), 1.0, 3.0) is None
    assert readings.energy_j([card(1.0), card(3.0)], ("GPU-1",), 1.0, 3.0) is None
    assert readings.energy_j(seen, (), 1.0, 3.0) is None


def test_a_counter_that_was_set_back_is_no_energy() -> None:
    seen = [card(1.0, energy_j=900), card(2.0, energy_j=5)]
    assert readings.energy_j(seen, ("GPU-1",), 1.0, 2.0) is None


def test_how_busy_cards_were_is_the_mean_over_the_span_and_the_cards() -> None:
    seen = [card(at, utilisation=share) for at, share in ((0.0, 1.0), (1.0, 0.5), (2.0, 0.7))]
    seen += [own.model_copy(update={"device": "GPU-2", "utilisation": 0.2}) for own in seen]
    assert readings.busy(seen, ("GPU-1",), 0.5, 3.0) == pytest.approx(0.6)
    assert readings.busy(seen, ("GPU-1", "GPU-2"), 0.5, 3.0) == pytest.approx(0.4)


def test_a_card_that_does_not_tell_leaves_all_untold() -> None:
    seen = [card(1.0, utilisation=0.5)]
    assert readings.busy(seen, ("GPU-1", "GPU-2"), 0.0, 2.0) is None
    assert readings.busy(seen, ("GPU-1",), 2.0, 3.0) is None
    assert readings.busy(seen, (), 0.0, 2.0) is None  # a CPU host


def test_reasons_that_slow_a_card_are_told_and_the_power_cap_is_not() -> None:
    seen = [card(1.0, throttle_reasons=0x4), card(2.0, throttle_reasons=0x44)]
    assert readings.throttle_reasons(seen, ("GPU-1",), 0.0, 1.5) == 0
    assert readings.throttle_reasons(seen, ("GPU-1",), 0.0, 3.0) == 0x40
    assert readings.throttle_reasons(seen, ("GPU-1",), 3.0, 4.0) is None
    assert readings.throttle_reasons([card(1.0)], ("GPU-1",), 0.0, 2.0) is None
    assert readings.throttle_reasons(seen, (), 0.0, 3.0) == 0  # a CPU host


def test_each_card_has_its_own_peak() -> None:
    seen = [card(1.0, memory_bytes=5), card(2.0, memory_bytes=9), card(3.0, memory_bytes=7)]
    seen += [own.model_copy(update={"device": "GPU-2", "memory_bytes": 4}) for own in seen]
    assert readings.peak_memory(seen, ("GPU-1", "GPU-2")) == {"GPU-1": 9, "GPU-2": 4}
    assert readings.peak_memory([card(1.0)], ("GPU-1",)) == {}


def test_a_silence_is_told_with_when_it_began() -> None:
    seen = [card(at) for at in (0.0, 0.2, 0.4, 3.0)]
    assert readings.unseen(seen, "GPU-1", 0.0, 0.5) is None
    assert readings.unseen(seen, "GPU-1", 0.0, 3.1) == (
        "no reading of GPU-1 for 2.6 s, from 0.4 s after the launch on"
    )
    assert readings.unseen(seen, "GPU-2", 0.0, 9.0) == (
        "no reading of GPU-2 for 9.0 s, from 0.0 s after the launch on"
    )


def test_what_telemetry_could_not_give_is_told_and_never_zero() -> None:
    lost = Span(
        gpu_memory_peak=None,
        gpu_memory_together=None,
        host_memory_peak=None,
        energy_j=None,
        gpu_busy=None,
        throttle_reasons=None,
        lost="the telemetry process ended with exit code -9",
    )
    assert metrics.seen(lost) == {}
    assert set(metrics.unseen(lost, Gpu.CPU)) == {"host_memory_peak"}
    assert set(metrics.unseen(lost, Gpu.H100)) == {
        *("gpu_memory_peak", "host_memory_peak", "throughput_per_gpu_gb", "energy_per_token"),
        "gpu_busy",
    }
    assert set(metrics.unseen(lost, Gpu.H100).values()) == {lost.lost}


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_host_is_read_five_times_a_second() -> None:
    with Watch(os.getpid(), (), CORE) as watch:
        until(lambda: len(watch.readings) >= 6)
    *timed, _ = watch.readings  # the last is taken at the end
    spent = timed[-1].at_s - timed[0].at_s
    assert spent > 0.2 * (len(timed) - 2)  # the first may be late, and none is made up for
    assert {reading.device for reading in watch.readings} == {"cpu"}
    assert all(reading.memory_bytes for reading in watch.readings)  # this process has children


def test_two_cards_are_read_on_the_clock_of_the_watch(two_cards: tuple[str, ...]) -> None:
    with Watch(os.getpid(), two_cards, CORE) as watch:
        watch.begun()
        begin = watch.now_s()
        time.sleep(0.5)
        span = watch.span(begin, begin + 0.5)
    assert span.energy_j == pytest.approx(800 * 0.5, rel=0.1)  # 300 W and 500 W
    assert span.gpu_memory_peak == 2000 * 2**20  # of the fuller card
    assert span.gpu_memory_together == 3000 * 2**20
    assert span.throttle_reasons == 0
    assert span.lost is None
    ones = [reading for reading in watch.readings if reading.device == "GPU-2"]
    assert (ones[0].sm_clock_hz, ones[0].memory_clock_hz) == (1.98e9, 2.619e9)
    slowly = [(one.ecc_corrected, one.ecc_uncorrected, one.remapped_rows) for one in ones]
    assert slowly[0] == slowly[-1] == (3, 0, 3)
    assert set(slowly[1:-1]) == {(None, None, None)}


def test_a_field_that_a_card_does_not_have_is_none(
    two_cards: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = (
        *("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetRemappedRows"),
        *("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetCurrentClocksEventReasons"),
    )
    monkeypatch.setenv("FAKE_NVML", ",".join(lacking))
    with Watch(os.getpid(), two_cards, CORE) as watch:
        until(lambda: len(watch.readings) >= 3)
        span = watch.span(watch.readings[0].at_s, watch.now_s())
    reading = watch.readings[1]
    assert (reading.energy_j, reading.remapped_rows, reading.memory_bytes) == (None, None, None)
    assert (reading.power_w, reading.ecc_corrected) == (300.0, 3)
    assert span.lost is None
    assert (span.energy_j, span.gpu_memory_peak, span.throttle_reasons) == (None, None, None)
    assert "energy_per_token" in metrics.unseen(span, Gpu.H100)


@pytest.mark.parametrize(
    ("uuids", "wrong", "said"),
    [
        (("GPU-1",), "absent", "a card cannot be read: NVML Shared Library Not Found"),
        (("GPU-7",), "", "a card cannot be read: Not Found"),
    ],
)
def test_cards_that_cannot_be_read_are_told_and_the_launch_goes_on(
    two_cards: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    uuids: tuple[str, ...],
    wrong: str,
    said: str,
) -> None:
    monkeypatch.setenv("FAKE_NVML", wrong)
    with Watch(os.getpid(), uuids, CORE) as watch:
        watch.process.wait(20)
        span = watch.span(0.0, watch.now_s() + 3.0)
    assert span.lost == f"the telemetry process ended with exit code 3: {said}"


def test_the_death_of_the_process_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with Watch(os.getpid(), (), CORE) as watch:
        until(lambda: len(watch.readings) >= 2)
        watch.process.kill()
        watch.process.wait(10)
        until(lambda: bool(caplog.records))
        span = watch.span(0.0, watch.now_s() + 3.0)
    assert span.lost == "the telemetry process ended with exit code -9"
    assert (span.host_memory_peak, span.throttle_reasons) == (None, 0)
    assert caplog.messages == [f"{span.lost}; the launch goes on"]


def test_a_process_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a driver's call that does not return."""
    monkeypatch.setattr("runners.telemetry.watch.END_WITHIN_S", 0.3)
    with Watch(os.getpid(), (), CORE) as watch:
        until(lambda: len(watch.readings) >= 2)
        watch.process.send_signal(signal.SIGSTOP)
        began = watch.now_s()
        assert watch.span(began, began + 3.0).lost is not None
        ending = time.monotonic()
    assert time.monotonic() - ending < 5.0
    assert watch.process.wait(10) == -signal.SIGKILL


def test_a_process_that_ended_has_used_nothing_less() -> None:
    """What it used before would otherwise be taken from the others."""
    assert used_since({1: 5.0, 2: 3.0}, {1: 5.5}) == 0.5
    with Watch(os.getpid(), (), CORE) as watch:
        until(lambda: bool(watch.readings))
        before = cpu_seconds([watch.process.pid])
    assert set(before) == {watch.process.pid}
    assert cpu_seconds([watch.process.pid]) == {}


def test_a_watch_leaves_nothing_open() -> None:
    files = len(list(Path("/proc/self/fd").iterdir()))
    with Watch(os.getpid(), (), CORE) as watch:
        until(lambda: bool(watch.readings))
    assert watch.process.returncode == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == files


WATCHING = """
import os, sys, time
from runners.telemetry.watch import Watch
with Watch(os.getpid(), (), 0) as watch:
    while not watch.readings:
        time.sleep(0.02)
    print(watch.process.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def watcher() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", WATCHING], stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_the_process_does_not_outlive_whoever_watches(watcher: "subprocess.Popen[str]") -> None:
    assert watcher.stdout is not None
    place = Path("/proc") / watcher.stdout.readline().strip()
    assert b"sampler" in (place / "cmdline").read_bytes()
    watcher.kill()
    until(lambda: not place.exists() or b"sampler" not in (place / "cmdline").read_bytes(), 5.0)


def test_telemetry_keeps_off_the_engines_compute_cores() -> None:
    for host in ({0, 1}, set(range(16))):
        compute, clients = cores.split(host)
        assert cores.for_telemetry(host) not in compute
        assert cores.for_telemetry(host) in clients


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core is everybody's")
def test_on_a_gpu_host_the_client_leaves_a_core_to_telemetry() -> None:
    before = os.sched_getaffinity(0)
    with cores.client_core(Gpu.H100) as clients:
        assert clients == before - {cores.for_telemetry(before)}
        assert os.sched_getaffinity(0) == clients
    assert os.sched_getaffinity(0) == before
