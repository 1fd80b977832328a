"""From requests to measurements."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.load.client import Window
from runners.measures import keeps, measure
from schema.cells import Limits, Workload
from schema.latencies import gaps, latencies, percentile
from schema.metrics import METRICS
from schema.requests import Request


def request(index: int = 0, **changes: Any) -> Request:
    """Scheduled at 1.0, sent at 1.1, tokens at 1.3, 1.4 and (two at once) 1.8."""
    usual: dict[str, Any] = {
        "index": index,
        "scheduled_s": 1.0,
        "sent_s": 1.1,
        "input_tokens": 10,
        "output_tokens": 4,
        "event_s": (1.3, 1.4, 1.8),
        "event_tokens": (1, 2, 4),
    }
    return Request(**usual | changes)


NO_LIMITS = Limits()


def asked(limits: Limits = NO_LIMITS) -> Workload:
    return Workload.model_validate(
        {
            "name": "any",
            "arrival": "closed-loop",
            "concurrency": 2,
            "requests": 4,
            "input_tokens": 10,
            "output_tokens": 4,
            "limits": limits,
        }
    )


def window(*requests: Request, duration_s: float = 2.0) -> Window:
    return Window(requests=requests, duration_s=duration_s, lag_s=(), late_s=())


@given(
    st.lists(st.floats(0, 1e3), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_percentile_is_numpys_linear_one(values: list[float], share: float) -> None:
    expected = np.quantile(values, share, method="linear")
    assert percentile(sorted(values), share) == pytest.approx(float(expected))


def test_an_event_of_several_tokens_gives_as_many_gaps() -> None:
    assert gaps(request()) == pytest.approx([0.1, 0.2, 0.2])


def test_gaps_are_pooled_over_requests_and_tpot_is_not() -> None:
    lone = request(1, event_s=(1.3, 2.3), event_tokens=(1, 2), output_tokens=2)
    seen = latencies([request(), lone])
    assert seen.itl == pytest.approx((0.1, 0.2, 0.2, 1.0))
    assert seen.tpot == pytest.approx((0.5 / 3, 1.0))


def test_first_tokens_count_from_sending_and_whole_answers_from_the_schedule() -> None:
    seen = latencies([request()])
    assert seen.ttft == pytest.approx((0.2,))
    assert seen.e2e == pytest.approx((0.8,))


def test_an_answer_of_one_token_has_no_gap() -> None:
    seen = latencies([request(output_tokens=1, event_s=(1.3,), event_tokens=(1,))])
    assert (seen.itl, seen.tpot) == ((), ())


def test_failed_requests_are_in_no_measurement() -> None:
    broken = request(1, error="ReadTimeout: ", event_s=(), event_tokens=(), output_tokens=0)
    values, _ = measure(window(request(), broken), asked(), {})
    alone, _ = measure(window(request()), asked(), {})
    assert values == alone
    assert values["request_throughput"] == 0.5


def test_throughput_is_tokens_per_second_of_the_window() -> None:
    values, _ = measure(window(request(0), request(1)), asked(), {})
    assert values["output_throughput"] == pytest.approx(4)  # 8 tokens in 2 s
    assert values["total_throughput"] == pytest.approx(14)


def test_throughput_outside_of_stalls_is_told_beside_the_whole() -> None:
    stalled = request(event_s=(1.3, 1.4, 2.9), event_tokens=(1, 2, 4))
    values, _ = measure(window(stalled, duration_s=2.0), asked(), {})
    assert values["stall_time"] == pytest.approx(1.5)
    assert values["steady_throughput"] == pytest.approx(4 * values["output_throughput"])


def test_no_success_gives_no_numbers() -> None:
    broken = request(error="HTTP 500", event_s=(), event_tokens=(), output_tokens=0)
    values, missing = measure(window(broken), asked(), {})
    assert values == {}
    assert missing["ttft_p50"] == "0 observations, needs 1"


@pytest.mark.parametrize(
    ("name", "requests", "estimable"),
    [
        ("ttft_p50", 1, True),
        ("ttft_p90", 99, False),
        ("ttft_p90", 100, True),
        ("ttft_p99", 999, False),  # 10 observations must lie above the 99th percentile
        ("ttft_p99", 1000, True),
    ],
)
def test_a_tail_needs_observations_above_it(name: str, requests: int, estimable: bool) -> None:
    values, missing = measure(window(*map(request, range(requests))), asked(), {})
    assert (name in values, name in missing) == (estimable, not estimable)
    assert estimable or missing[name].startswith(f"{requests} observations, needs ")


def test_the_tail_ratio_is_missing_with_its_tail() -> None:
    values, missing = measure(window(request()), asked(), {})
    assert "tail_ratio_itl" not in values
    assert missing["tail_ratio_itl"] == missing["itl_p99"] == "3 observations, needs 1000"


def test_the_tail_ratio_is_p99_over_p50() -> None:
    values, _ = measure(window(*map(request, range(400))), asked(), {})
    assert values["tail_ratio_itl"] == pytest.approx(values["itl_p99"] / values["itl_p50"])


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(ttft_s=0.21), True),
        (Limits(ttft_s=0.19), False),
        (Limits(itl_s=0.17), True),  # its mean gap is 0.1667
        (Limits(itl_s=0.16), False),
        (Limits(e2e_s=0.79), False),
        (Limits(ttft_s=1, itl_s=1, e2e_s=0.79), False),  # every limit counts
    ],
)
def test_goodput_counts_requests_that_keep_every_limit(limits: Limits, kept: bool) -> None:
    assert keeps(request(), limits) is kept
    values, _ = measure(window(request()), asked(limits), {})
    assert values["goodput"] == (0.5 if kept else 0.0)


def test_without_limits_there_is_no_goodput() -> None:
    assert "goodput" not in measure(window(request()), asked(), {})[0]


def test_what_the_launch_knows_keeps_its_base_units() -> None:
    cards = {"gpu_memory_peak": 80e9, "gpu_memory_together": 80e9}
    known = {**cards, "energy_j": 40.0, "startup_s": 30.0, "weight_memory": 15e9}
    values, _ = measure(window(request()), asked(), known)
    assert values["gpu_memory_peak"] == 80e9
    assert values["energy_per_token"] == pytest.approx(10)  # J/tok
    assert values["throughput_per_gpu_gb"] == pytest.approx(2 / 80)  # tok/s/GB
    assert not {"energy_j", "gpu_memory_together"} & set(values)


def test_tokens_per_gigabyte_are_of_all_cards_together() -> None:
    """The same tokens over twice the memory are half as many a gigabyte."""
    two = {"gpu_memory_peak": 80e9, "gpu_memory_together": 150e9}
    values, _ = measure(window(request()), asked(), two)
    assert values["throughput_per_gpu_gb"] == pytest.approx(2 / 150)
    assert values["gpu_memory_peak"] == 80e9


def test_what_is_not_known_is_absent() -> None:
    values, _ = measure(window(request()), asked(), {})
    assert not {"energy_per_token", "throughput_per_gpu_gb", "gpu_memory_peak"} & set(values)


def test_every_measurement_is_a_known_metric() -> None:
    peaks = {"gpu_memory_peak": 8e9, "gpu_memory_together": 8e9, "host_memory_peak": 1e9}
    known = {**peaks, "energy_j": 1.0}
    values, missing = measure(window(*map(request, range(400))), asked(Limits(e2e_s=1)), known)
    assert set(values) | set(missing) <= set(METRICS)
