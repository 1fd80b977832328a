"""The load client against an engine whose truth is known by its own clock."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import httpx
import pytest

from runners.engines.counters import Counters, gained
from runners.engines.vllm import Vllm
from runners.errors import ClientDied
from runners.load.client import Window, client, take
from runners.prometheus import parse
from runners.workload import Draft, draw
from schema.arrivals import Arrival
from schema.cells import Cell
from schema.latencies import latencies
from schema.lengths import Lengths

CellMaker = Callable[..., Cell]
Served = Callable[..., str]

LENGTHS = {
    "input_tokens": Lengths(mean=16, longest=16),
    "output_tokens": Lengths(mean=20, longest=20),
}
STEADY = {"ttft_s": 0.2, "itl_s": 0.01}

TRIES = 3


def load(
    url: str, cell: Cell, *, timeout_s: float = 10.0, processes: int = 1
) -> tuple[Sequence[Draft], Window]:
    drafts = draw(cell.workload, seed=3, vocabulary=1024)
    with client(int(url.rpartition(":")[2]), processes) as ours:
        return drafts, ours.send("fake", cell.workload, drafts, timeout_s=timeout_s)


def counters(url: str) -> Counters:
    """What the engine has counted so far, by its own clock."""
    return Vllm().counters(parse(httpx.get(url + "/metrics", trust_env=False, verify=False).text))


def seen(url: str) -> dict[str, list[float] | int]:
    """When requests arrived (monotonic clock) and the most that were in flight."""
    answer: dict[str, list[float] | int] = httpx.get(url + "/fake", trust_env=False).json()
    return answer


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(
    "behaviour",
    [
        {},  # a token an event
        {"merge": 3},  # three tokens an event, the last event has two
        {"split": 0.001},  # an event arrives in two reads
    ],
)
def test_stamps_agree_with_the_engines_own_clock(
    fake: Served, make_cell: CellMaker, behaviour: dict[str, float]
) -> None:
    url = fake(**STEADY, **behaviour)
    # other tests on the same cores can delay a read but never make it early: the best try counts
    errors = [errors_of(url, make_cell(requests=8, **LENGTHS)) for _ in range(TRIES)]
    for metric in ("itl", "tpot"):
        assert min(abs(one[metric]) for one in errors) < 0.05 * STEADY["itl_s"]
    assert min(abs(one["ttft"]) for one in errors) < 0.05 * STEADY["ttft_s"]


def errors_of(url: str, cell: Cell) -> dict[str, float]:
    """The client's mean less the engine's own, of one window, s."""
    before = counters(url)
    _, window = load(url, cell)
    after = counters(url)
    assert all(request.error is None for request in window.requests)
    engine = gained(before, after)
    ttft, itl = engine.ttft_mean_s, engine.itl_mean_s
    assert ttft is not None
    assert itl is not None
    ours = latencies(window.requests)
    theirs = {"ttft": ttft, "itl": itl, "tpot": itl}
    return {metric: mean(getattr(ours, metric)) - true for metric, true in theirs.items()}


def test_merged_events_are_counted_by_usage(fake: Served, make_cell: CellMaker) -> None:
    _, window = load(fake(merge=3), make_cell(requests=2, **LENGTHS))
    assert window.requests[0].event_tokens == (3, 6, 9, 12, 15, 18, 20)
    assert window.requests[0].output_tokens == 20
    assert len(latencies(window.requests[:1]).itl) == 17  # the first event is no gap


def test_lengths_are_as_asked(fake: Served, make_cell: CellMaker) -> None:
    drafts, window = load(fake(), make_cell(output_tokens=Lengths(mean=9, sigma=0.5, longest=30)))
    assert [(r.index, r.input_tokens, r.output_tokens) for r in window.requests] == [
        (draft.index, len(draft.prompt), draft.output_tokens) for draft in drafts
    ]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_closed_loop_never_exceeds_its_concurrency(
    fake: Served, make_cell: CellMaker, processes: int
) -> None:
    url = fake()
    _, window = load(url, make_cell(concurrency=3, requests=15, **LENGTHS), processes=processes)
    assert seen(url)["most_in_flight"] == 3
    assert [request.index for request in window.requests] == list(range(15))
    assert all(request.error is None for request in window.requests)


def test_offline_sends_everything_at_once(fake: Served, make_cell: CellMaker) -> None:
    url = fake(ttft_s=0.3)
    load(url, make_cell(arrival=Arrival.OFFLINE, requests=20, **LENGTHS))
    assert seen(url)["most_in_flight"] == 20


def test_open_loop_sends_at_the_drawn_times_whatever_the_engine_does(
    fake: Served, make_cell: CellMaker
) -> None:
    url = fake(ttft_s=0.5)
    cell = make_cell(arrival=Arrival.OPEN_LOOP, rate=40, requests=30, **LENGTHS)
    drafts, window = load(url, cell)
    assert [r.scheduled_s for r in window.requests] == [draft.scheduled_s for draft in drafts]
    assert window.late_s == tuple(r.sent_s - r.scheduled_s for r in window.requests)
    assert min(window.late_s) >= 0
    assert mean(window.late_s) < 0.05
    arrivals = seen(url)["arrivals"]
    assert isinstance(arrivals, list)
    gaps = zip(pairwise(arrivals), pairwise(r.sent_s for r in window.requests), strict=True)
    late = [abs((there - here) - (after - before)) for (here, there), (before, after) in gaps]
    assert mean(late) < 0.02


def test_each_process_tells_how_late_it_read(fake: Served, make_cell: CellMaker) -> None:
    _, window = load(fake(), make_cell(concurrency=4, requests=8, **LENGTHS), processes=2)
    assert len(window.lag_s) == 2
    assert all(lag_s and min(lag_s) >= 0 for lag_s in window.lag_s)


ANSWERS = {"nothing": "b''", "half of an answer": "pickle.dumps(tuple(range(999)))[:-40]"}


@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_process_that_dies_before_its_answer_is_whole_is_named(said: str) -> None:
    script = f"import pickle, sys; sys.stdout.buffer.write({said}); sys.stdout.flush(); sys.exit(3)"
    with (
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process,
        pytest.raises(ClientDied, match="ended with exit code 3"),
    ):
        take(process)


def test_a_refused_request_is_a_row_with_its_error(fake: Served, make_cell: CellMaker) -> None:
    _, window = load(fake(error_every=4), make_cell(requests=8, concurrency=1, **LENGTHS))
    errors = [request.error for request in window.requests if request.error]
    assert len(errors) == 2
    assert all("HTTP 500" in error and "EngineCore" in error for error in errors)
    assert len(latencies(window.requests).ttft) == 6


def test_an_error_in_the_stream_is_an_error(fake: Served, make_cell: CellMaker) -> None:
    _, window = load(fake(error_in_stream=1), make_cell(requests=2, **LENGTHS))
    assert all("out of pages" in (request.error or "") for request in window.requests)
    assert all(request.event_s == () for request in window.requests)


def test_an_engine_that_dies_leaves_errors_not_numbers(fake: Served, make_cell: CellMaker) -> None:
    _, window = load(fake(die_after=2), make_cell(requests=6, concurrency=1, **LENGTHS))
    assert [request.error is None for request in window.requests] == [True] + [False] * 5


def test_a_closed_loop_does_not_wait_for_a_hung_engine_again_and_again(
    fake: Served, make_cell: CellMaker
) -> None:
    cell = make_cell(requests=12, concurrency=2, **LENGTHS)
    _, window = load(fake(hang_after=1), cell, timeout_s=0.5)
    assert [r.error for r in window.requests] == ["no byte came for 0.5 s"] * 2


def test_nobody_there_is_an_error_for_every_request(make_cell: CellMaker) -> None:
    _, window = load("http://127.0.0.1:9", make_cell(requests=3))
    assert all(
        (request.error or "").startswith("ConnectionRefusedError") for request in window.requests
    )
