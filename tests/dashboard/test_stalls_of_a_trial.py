"""What the page of a trial shows of an engine that answered nobody for a while."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
from streamlit.testing.v1 import AppTest

from dashboard.charts.trial import shaded
from dashboard.sentences import stalls_line
from schema.session import reading
from schema.stalls import Stall
from schema.store.cells import cells
from schema.store.values import values_of_latest

Open = Callable[..., AppTest]
STALLS = (
    Stall(start_s=2.0, end_s=3.805, waiting=32),
    Stall(start_s=9.84, end_s=11.315, waiting=1),
)


def stalled(url: str, least_s: float) -> str:
    """A trial whose engine stalled for so long."""
    with reading(url) as session:
        known = [own.key for own in cells(session)]
        values = values_of_latest(session, known, 30)
    return next(own.trial for own in values if own.metric == "stall_time" and own.value > least_s)


def test_it_tells_when_for_how_long_and_who_waited() -> None:
    measured = {"steady_throughput": 2040.2, "output_throughput": 1249.0}
    assert stalls_line(STALLS, measured) == (
        "The engine stalled (shaded below): nobody got a token for 1.805 s from second 2.0 "
        "(32 requests waiting), for 1.475 s from second 9.8 (1 request waiting). Outside of that "
        "it made 2,040 tok/s, over the whole window 1,249 tok/s."
    )


def test_an_open_loop_has_no_throughput_outside_of_them() -> None:
    line = stalls_line(STALLS, {"output_throughput": 900.0})
    assert line.endswith("(1 request waiting).")


def test_each_is_shaded() -> None:
    shapes: tuple[Any, ...] = shaded(go.Figure(), STALLS).layout.shapes
    assert [(own.x0, own.x1) for own in shapes] == [(2.0, 3.805), (9.84, 11.315)]


def test_the_page_of_a_real_stalled_trial_says_so(hopper_url: str, open_page: Open) -> None:
    page = open_page(hopper_url, "trial", trial=stalled(hopper_url, least_s=3.5))
    (warning,) = page.warning
    assert warning.value.startswith("The engine stalled (shaded below): nobody got a token for 1.")
    assert "Outside of that it made" in warning.value
    assert len(page.get("plotly_chart")) >= 5


def test_the_page_of_a_trial_without_a_stall_warns_of_nothing(release, open_page: Open) -> None:
    assert not open_page(release.url, "trial", trial=release.valid).warning
