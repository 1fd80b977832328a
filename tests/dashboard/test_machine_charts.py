"""The machine on the trial page: two cards, what they did, and where the memory went."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from dashboard import frames
from dashboard.charts.machine import memory_parts, memory_stack, telemetry
from dashboard.sentences import card_errors
from schema.trials import Telemetry

GIB = 2**30
NAMES = {"GPU-a": "GPU 0", "GPU-b": "GPU 1"}


def two_cards() -> list[Telemetry]:
    """As a runner reads them: every device at each moment, errors at the first and the last."""
    rows = []
    for tick in range(5):
        rows.append(Telemetry(at_s=tick / 5, device="cpu", memory_bytes=GIB, utilisation=0.1))
        for uuid, watts in (("GPU-a", 300.0), ("GPU-b", 500.0)):
            slowly = {"ecc_corrected": 1 + (tick > 0), "ecc_uncorrected": 0, "remapped_rows": 2}
            rows.append(
                Telemetry(
                    at_s=tick / 5,
                    device=uuid,
                    memory_bytes=60 * GIB,
                    utilisation=0.9,
                    power_w=watts,
                    sm_clock_hz=1.98e9,
                    memory_clock_hz=2.619e9,
                    temperature_c=61,
                    **(slowly if tick in (0, 4) else {}),
                )
            )
    return rows


def axis_titles(figure: go.Figure) -> list[str]:
    return [axis.title.text for axis in figure.select_yaxes() if axis.title.text]


def test_every_card_has_a_line_in_every_panel_with_its_unit() -> None:
    figure = telemetry(frames.telemetry(two_cards(), NAMES), window_s=(0.2, 0.8))
    assert axis_titles(figure) == [
        *(
            "memory, GiB",
            "busy, %",
            "power, W",
            "clocks, GHz<br>(dotted: memory)",
            "temperature, °C",
        ),
    ]
    power = {trace.name: trace.y[0] for trace in figure.data if "W at" in trace.hovertemplate}
    assert power == {"GPU 0": 300, "GPU 1": 500}
    clocks = [trace for trace in figure.data if "GHz" in trace.hovertemplate]
    assert sorted({trace.y[0] for trace in clocks}) == pytest.approx([1.98, 2.619])
    assert [trace.name for trace in figure.data if trace.showlegend] == ["GPU 0", "GPU 1", "cpu"]


def test_a_host_without_cards_has_no_panels_of_cards() -> None:
    rows = [row for row in two_cards() if row.device == "cpu"]
    figure = telemetry(frames.telemetry(rows, {}), window_s=None)
    assert axis_titles(figure) == ["memory, GiB", "busy, %"]


def test_a_launch_of_which_nothing_was_read_is_an_empty_chart() -> None:
    empty = frames.telemetry([], {})
    assert not telemetry(empty, window_s=None).data
    assert isinstance(empty, pd.DataFrame)


def test_a_reading_that_was_not_available_is_a_gap_and_never_zero() -> None:
    rows = [
        Telemetry(at_s=0.0, device="GPU-a", memory_bytes=2**30),
        Telemetry(at_s=1.0, device="GPU-a", utilisation=0.5),
    ]
    figure = telemetry(frames.telemetry(rows, NAMES), window_s=(0.2, 0.8))
    assert figure.data[0].name == "GPU 0"
    assert np.isnan(figure.data[0].y[1])
    assert figure.data[1].y[1] == pytest.approx(50)


MEASURED = {
    "weight_memory": 43.78 * GIB,
    "kv_cache_memory": 26.33 * GIB,
    "graph_memory": 0.69 * GIB,
    "gpu_memory_peak": 73.5 * GIB,
}


def test_the_parts_of_a_cards_memory_make_up_the_card() -> None:
    parts = memory_parts(MEASURED, 80 * GIB)
    assert list(parts) == ["weights", "KV cache", "graphs", "everything else", "never used"]
    assert sum(parts.values()) == pytest.approx(80 * GIB)
    assert parts["everything else"] == pytest.approx(2.7 * GIB)
    names = [trace.name for trace in memory_stack({"": parts}).data]
    assert names[0] == "weights 43.78 GiB"


@pytest.mark.parametrize("missing", ["weight_memory", "kv_cache_memory"])
def test_memory_that_was_not_told_is_not_drawn(missing: str) -> None:
    known = {name: value for name, value in MEASURED.items() if name != missing}
    assert memory_parts(known, 80 * GIB) == {}


def test_without_a_peak_nothing_is_said_of_the_rest() -> None:
    known = {name: value for name, value in MEASURED.items() if name != "gpu_memory_peak"}
    assert list(memory_parts(known, 80 * GIB)) == ["weights", "KV cache", "graphs"]
    assert "graphs" not in memory_parts({k: known[k] for k in list(known)[:2]}, None)


def test_the_errors_of_each_card_are_told_with_what_the_launch_added() -> None:
    assert card_errors(two_cards(), NAMES) == [
        "GPU 0: 2 corrected ECC errors (1 of them in this launch), 0 uncorrected ECC errors, "
        "2 remapped rows.",
        "GPU 1: 2 corrected ECC errors (1 of them in this launch), 0 uncorrected ECC errors, "
        "2 remapped rows.",
    ]
    assert card_errors([Telemetry(at_s=0.0, device="GPU-a", power_w=1.0)], NAMES) == []
