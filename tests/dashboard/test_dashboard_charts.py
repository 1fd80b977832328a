"""Charts are functions: frame in, figure out."""

import numpy as np
import pandas as pd
import pytest

from dags.retention import sketches_of
from dashboard import frames
from dashboard.charts.compare import forest, strip
from dashboard.charts.layout import thin
from dashboard.charts.series import Band, Mark, series
from dashboard.charts.trial import gaps_over_time, percentiles, timeline
from dashboard.units import Scale
from schema.judgements import Comparison, Side, Verdict
from schema.requests import Request, Requests
from stats.sketch import ACCURACY

MS = Scale(factor=1e-3, label="ms")


def _comparison(metric: str, change: float | None) -> Comparison:
    baseline = Side(builds=("b1",), trials=("t1", "t2"), values=(0.010, 0.012), median=0.011)
    contender = Side(builds=("b2",), trials=("t3",), values=(0.020,), median=0.020)
    ends = None if change is None else (change - 0.01, change + 0.01)
    return Comparison(
        night="2026-11-21", cell="c", metric=metric, baseline=baseline, contender=contender,
        change=change, interval=ends, confidence=0.95,
    )  # fmt: skip


def _request(index: int, events: tuple[float, ...], tokens: tuple[int, ...]) -> Request:
    return Request(
        index=index, scheduled_s=0.0, sent_s=0.1, input_tokens=8,
        output_tokens=tokens[-1] if tokens else 0, event_s=events, event_tokens=tokens,
        error=None if events else "HTTP 503",
    )  # fmt: skip


REQUESTS = [_request(0, (0.2, 0.4, 0.5), (1, 3, 4)), _request(1, (), ())]


def test_a_forest_shows_percent_and_colours_by_verdict() -> None:
    found = [
        (_comparison("itl_p50", 0.09), Verdict.REGRESSION),
        (_comparison("ttft_p50", 0.01), Verdict.NO_CHANGE),
        (_comparison("ttft_p99", None), Verdict.INCONCLUSIVE),
    ]
    figure = forest(frames.changes(found, {"itl_p50": 0.03}))
    assert [trace.name for trace in figure.data] == [
        "too small to matter", "regression", "no change",
    ]  # fmt: skip
    assert figure.data[1].x[0] == pytest.approx(9.0)
    assert figure.data[1].customdata[0][0] == "itl_p50"
    assert figure.data[0].x[0] == pytest.approx(6.0)  # from -3 % to +3 %


def test_a_forest_lists_metrics_without_a_value() -> None:
    figure = forest(frames.changes([(_comparison("ttft_p99", None), Verdict.INCONCLUSIVE)], {}))
    assert "no value" in [note.text for note in figure.layout.annotations]


def test_a_strip_has_a_point_for_each_trial() -> None:
    own = _comparison("itl_p50", 0.5)
    points = frames.sides(own.baseline, own.contender, {"t1": "first"})
    figure = strip(points, scale=MS, names={})
    assert [len(trace.y) for trace in figure.data] == [2, 1]
    assert list(figure.data[0].y) == pytest.approx([10, 12])
    assert figure.data[1].customdata[0][0] == "t3"


def test_a_strip_with_one_empty_side_still_draws_the_other() -> None:
    own = _comparison("itl_p50", None)
    points = frames.sides(Side(builds=(), trials=(), values=()), own.contender, {})
    assert len(strip(points, scale=MS, names={}).data) == 1


def _points() -> pd.DataFrame:
    rows = [
        ("2026-11-20", "vllm 0.31.0", "nightly", 0, "t1", 0.010),
        ("2026-11-21", "vllm 0.31.0", "release-baseline", 0, "t2", 0.011),
        ("2026-11-21", "vllm 0.31.0", "release-baseline", 1, "t3", 0.012),
        ("2026-11-21", "vllm 0.32.0", "release-contender", 0, "t4", 0.020),
    ]
    columns = ["date", "build", "arm", "replicate", "trial", "value"]
    return pd.DataFrame(rows, columns=columns).assign(night=lambda frame: frame["date"])


def test_a_series_has_a_trace_for_each_build_and_a_line_for_each_remark() -> None:
    band = Band(middle=0.011, low=0.010, high=0.012)
    marks = [Mark(date="2026-11-20", text="new driver")]
    figure = series(_points(), scale=MS, band=band, marks=marks)
    assert [(trace.name, len(trace.y)) for trace in figure.data] == [
        ("vllm 0.31.0", 3), ("vllm 0.32.0", 1),
    ]  # fmt: skip
    assert figure.data[0].customdata[0][0] == "t1"
    assert "new driver" in [note.text for note in figure.layout.annotations]


def test_the_baseline_band_leaves_the_contender_out() -> None:
    band = frames.baseline_band(_points())
    assert band is not None
    assert band.middle == pytest.approx(0.011)
    assert band.high < 0.020


def test_two_trials_are_no_baseline() -> None:
    assert frames.baseline_band(_points().tail(3)) is None


def test_an_event_of_two_tokens_gives_two_gaps_of_half_its_time() -> None:
    assert frames.gaps(REQUESTS)["gap_s"].tolist() == pytest.approx([0.1, 0.1, 0.1])


def test_a_failed_request_enters_no_latency() -> None:
    seen = frames.latencies(REQUESTS)
    assert seen["TTFT"].tolist() == pytest.approx([0.1])
    assert seen["E2E"].tolist() == pytest.approx([0.5])


def test_sketches_are_drawn_like_the_latencies_that_they_keep() -> None:
    seen = frames.latencies(REQUESTS)
    kept = frames.sketched(sketches_of(Requests.of(REQUESTS)))
    assert kept.keys() == seen.keys()
    for name, values in seen.items():
        assert kept[name].tolist() == pytest.approx(sorted(values), rel=ACCURACY)


def test_percentiles_are_as_many_panels_as_latencies() -> None:
    values = pd.Series(np.linspace(0.001, 0.1, 1000))
    figure = percentiles({"TTFT": values, "ITL": values.head(0)})
    assert {trace.name for trace in figure.data} == {"TTFT"}
    solid, chance = figure.data
    assert max(solid.x) <= 100 < max(chance.x)  # beyond p99 of 1000 fewer than 10 are left


def test_the_timeline_marks_failed_requests() -> None:
    figure = timeline(frames.requests(REQUESTS))
    assert [trace.name for trace in figure.data] == [
        "waiting to be sent", "first token awaited", "tokens arriving", "failed",
    ]  # fmt: skip
    assert figure.data[3].text[0] == "HTTP 503"


def test_gaps_of_a_trial_without_answers_are_an_empty_chart() -> None:
    assert len(gaps_over_time(frames.gaps(REQUESTS[1:])).data[0].x) == 0


def test_thinning_keeps_the_largest() -> None:
    frame = pd.DataFrame({"gap": [*range(10_000), 99_999]})
    kept = thin(frame, "gap", most=100)
    assert len(kept) <= 100
    assert kept["gap"].max() == 99_999
