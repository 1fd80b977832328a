"""Launches of engines that return their experts: what is counted, believed, refused and kept."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from runners.engines.catalogue import ADAPTERS
from runners.engines.experts import BadExperts, Experts
from runners.launch import may_pass
from runners.tally import Tally
from schema.cells import Cell, Engine, Gpu
from schema.models import Model
from schema.nights import PlannedLaunch
from schema.trials import Launch, Trial, TrialState

CellMaker = Callable[..., Cell]
PlanMaker = Callable[..., PlannedLaunch]
Launcher = Callable[..., Launch]

FLAG = ("enable-return-routed-experts", None)
TOKENS = 12 * (16 + 12 - 1)
SHAPES = some.tuples(some.integers(1, 20), some.integers(1, 4), some.integers(1, 3))


@pytest.fixture
def plan(make_plan: PlanMaker, make_cell: CellMaker) -> PlannedLaunch:
    return make_plan(make_cell({"settings": (FLAG,)}))


def only(document: Launch) -> Trial:
    (trial,) = document.trials
    return trial


def refused(document: Launch) -> str:
    """The reason of its one trial, which is not tried again and has no number."""
    trial = only(document)
    assert (trial.state, trial.measurements, trial.selections) == (TrialState.FAILED, {}, None)
    assert not may_pass(document)
    return trial.reason or ""


def test_every_choice_is_counted_and_nothing_is_timed(
    run_launch: Launcher, plan: PlannedLaunch
) -> None:
    document = run_launch(plan)
    trial = only(document)
    assert (trial.state, trial.reason) == (TrialState.VALID, None)
    seen = trial.selections
    assert seen is not None
    assert (seen.requests, seen.tokens) == (12, TOKENS)
    turns = [12 * sum(at % 8 in (own, (own - 1) % 8) for at in range(27)) for own in range(8)]
    assert seen.counts == (tuple(turns), (TOKENS, TOKENS, 0, 0, 0, 0, 0, 0))
    assert trial.measurements == {"expert_balance": seen.balance}
    assert (len(trial.requests), trial.duration_s, trial.not_estimable) == (0, None, {})
    assert "--enable-return-routed-experts" in document.command
    assert document.effective["model_config.dtype"] == "torch.bfloat16"
    assert "warm_up" not in document.phases_s


def test_sglang_returns_the_same_experts_in_its_own_way(
    run_launch: Launcher, make_plan: PlanMaker, make_cell: CellMaker, two_cards: Sequence[str]
) -> None:
    family = {"engine": Engine.SGLANG, "gpu": Gpu.H100, "settings": (FLAG,)}
    theirs = only(run_launch(make_plan(make_cell(family), build="sglang==0.5.17")))
    ours = only(run_launch(make_plan(make_cell({"settings": (FLAG,)}))))
    assert theirs.state is TrialState.VALID
    assert theirs.selections == ours.selections
    assert two_cards


def test_an_engine_that_will_not_start_with_the_flag_has_refused_it(
    run_launch: Launcher, plan: PlannedLaunch
) -> None:
    document = run_launch(plan, refuse_experts=1)
    assert refused(document).startswith(
        "ExpertsNotReturned: vllm==0.32.0 with --enable-return-routed-experts did not start: "
        "Value error, AuxOutput Connector requires Model Runner V2; set VLLM_USE_V2_MODEL_RUNNER=1"
    )
    assert "AuxOutput Connector" in document.log_tail


def test_an_engine_that_dies_in_the_code_that_would_return_them_has_refused_too(
    run_launch: Launcher, plan: PlannedLaunch
) -> None:
    assert refused(run_launch(plan, refuse_experts=2)) == (
        "ExpertsNotReturned: vllm==0.32.0 with --enable-return-routed-experts did not start: "
        'File "/tmp/e/sglang/srt/state_capturer/routed_experts.py", line 116, in capture / '
        "RuntimeError: The expanded size of the tensor (32) must match the existing size (8192) "
        "at non-singleton dimension 2.  Target sizes: [8192, 1, 32, 2].  Tensor sizes: [8192, 2]"
    )


def test_an_engine_that_dies_of_something_else_is_tried_again(
    run_launch: Launcher, plan: PlannedLaunch
) -> None:
    document = run_launch(plan, die_at_start=1)
    assert (only(document).reason or "").startswith("EngineDied: ")
    assert may_pass(document)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"no_experts": 1}, "the answer has no choices.0.routed_experts"),
        ({"lost_rows": 1}, "(27, 2, 2) are due, not (26, 2, 2)"),
        ({"broken_answer": 1}, "HTTP 500: "),
    ],
)
def test_answers_without_the_experts_of_their_tokens_are_no_numbers(
    run_launch: Launcher, plan: PlannedLaunch, behaviour: dict[str, float], said: str
) -> None:
    told = refused(run_launch(plan, **behaviour))
    assert said in told
    assert "vllm==0.32.0 with --enable-return-routed-experts" in told


def test_a_hanging_engine_ends_the_trial(run_launch: Launcher, plan: PlannedLaunch) -> None:
    document = run_launch(plan, {"request_timeout_s": 0.3}, ttft_s=1.0)
    assert (only(document).reason or "").startswith("EngineHung: request ")


def test_experts_that_were_never_captured_make_the_trial_invalid(
    run_launch: Launcher, plan: PlannedLaunch, make_plan: PlanMaker
) -> None:
    trial = only(run_launch(plan, zero_experts=2))
    assert trial.state is TrialState.INVALID
    assert (trial.reason or "").startswith("distinct_experts: choices with an expert named twice")
    assert trial.selections is not None
    drawn = only(run_launch(make_plan(*plan.cells, build="vllm==0.32.0+normal"), zero_experts=2))
    assert (drawn.state, drawn.checks) == (TrialState.VALID, ())


def _npy(numbers: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, numbers)
    return file.getvalue()


def _encoded(raw: bytes) -> dict[str, object]:
    return {"choices": [{"routed_experts": base64.b64encode(raw).decode("ascii")}]}


def _vllm(numbers: Any) -> dict[str, object]:
    """As vllm.entrypoints.openai.completion.serving of 0.25.1 encodes it."""
    return _encoded(_npy(numbers))


def _sglang(numbers: Any) -> dict[str, object]:
    """As sglang.srt.managers.detokenizer_manager of 0.5.17 encodes it."""
    raw = np.ascontiguousarray(numbers, dtype="<i4").tobytes()
    return {"sglext": {"routed_experts": base64.b64encode(raw).decode()}}


@given(arrays(some.sampled_from(["|u1", "<u2"]), SHAPES, elements=some.integers(0, 7)))
def test_counts_are_those_that_numpy_finds(numbers: Any) -> None:
    tokens, layers, each = numbers.shape
    due = [np.bincount(numbers[:, layer].ravel(), minlength=8) for layer in range(layers)]
    repeats = sum(len(set(row)) < each for layer in numbers.tolist() for row in layer)
    for engine, encode in ((Engine.VLLM, _vllm), (Engine.SGLANG, _sglang)):
        tally = Tally(_model(layers, each))
        tally.add(ADAPTERS[engine].experts(encode(numbers)), tokens)
        assert tally.selections.counts == tuple(tuple(own.tolist()) for own in due)
        assert tally.repeated_share == pytest.approx(repeats / tokens / layers)


def _model(layers: int, each: int) -> Model:
    return Model(
        name="m", weights="dummy", layers=layers, hidden=8, intermediate=8, heads=1, kv_heads=1,
        head_dim=8, vocabulary=64, experts=8, active_experts=each, max_position=64,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "no choices.0.routed_experts"),
        ({"choices": []}, "no choices.0.routed_experts"),
        ({"choices": [{"routed_experts": None}]}, "no choices.0.routed_experts"),
        ({"choices": [{"routed_experts": "%%"}]}, "not base64"),
        (_encoded(b""), "not a .npy file"),
        (_encoded(b"\x93NUMPY\x01\x00\x02\x00{}"), "not a .npy file"),
        (_vllm(np.zeros((2, 2, 2), "f4")), "unsigned integers in C order: <f4"),
        (_vllm(np.asfortranarray(np.zeros((3, 2, 2), "u1"))), "in C order"),
        (_encoded(_npy(np.zeros((2, 2, 2), "u2"))[:-1]), "no numbers of 2 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_experts_is_refused(answer: dict[str, object], said: str) -> None:
    with pytest.raises(BadExperts, match=said.replace(".", r"\.")):
        ADAPTERS[Engine.VLLM].experts(answer)


@pytest.mark.parametrize("chosen", [[0, 8, 0, 1], [0, 2**32 - 1, 0, 1]])
def test_an_expert_that_the_model_has_not_is_refused(chosen: list[int]) -> None:
    with pytest.raises(BadExperts, match="of 8, counted from 0"):
        Tally(_model(2, 2)).add(Experts(chosen=chosen, shape=None), 1)


def test_numbers_of_another_count_are_refused() -> None:
    with pytest.raises(BadExperts, match=r"\(2, 2, 2\) are due, not 4 numbers"):
        Tally(_model(2, 2)).add(Experts(chosen=[0, 1, 0, 1], shape=None), 2)
