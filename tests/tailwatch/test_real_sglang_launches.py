"""SGLang on real H100 and H200: what its launches in examples/ say of readiness, version,
settings, memory, counters and the stop. The documents are as the hosts wrote them."""

from datetime import timedelta
from statistics import fmean

import pytest

from runners.engines.sglang import EFFECTIVE
from runners.keeper import TERM_GRACE_S
from schema.cells import Engine
from schema.latencies import latencies
from schema.models import Model
from schema.trials import Launch, Trial, TrialState
from tailwatch.documents import Documents
from tailwatch.home import REPOSITORY

KV_BYTES = 2 * 32 * 8 * 128 * 2
"""Of a token of either model: keys and values of 32 layers and 8 heads of 128 in bf16."""


@pytest.fixture(scope="module")
def launches() -> list[Launch]:
    documents = Documents(REPOSITORY / "examples")
    found = [one for _, one in documents.launches() if one.build.engine is Engine.SGLANG]
    timed = [one for one in found if not one.trials[0].cell.family.returns_experts]
    valid = [one for one in timed if _valid(one)]
    assert valid
    return valid


def _valid(launch: Launch) -> list[Trial]:
    return [trial for trial in launch.trials if trial.state is TrialState.VALID]


def test_they_were_ready_before_they_were_measured(launches: list[Launch]) -> None:
    for one in launches:
        assert one.startup_s == one.phases_s["start"] > 10
        ready = one.started_at + timedelta(seconds=one.startup_s)
        assert all(trial.started_at > ready for trial in _valid(one))


def test_the_version_that_answers_is_the_build_that_was_asked_for(launches: list[Launch]) -> None:
    assert all(one.effective["version"] == one.build.version for one in launches)


def test_settings_read_back_are_those_of_the_command_line(launches: list[Launch]) -> None:
    flags = {
        "--context-length": "context_length",
        "--random-seed": "random_seed",
        "--dtype": "dtype",
        "--attention-backend": "attention_backend",
        "--sampling-backend": "sampling_backend",
        "--tp-size": "tp_size",
        "--mem-fraction-static": "mem_fraction_static",
    }
    for one in launches:
        assert set(EFFECTIVE) <= one.effective.keys()
        assert one.effective["disable_radix_cache"] == "True"
        for flag, setting in flags.items():
            assert one.command[one.command.index(flag) + 1] == one.effective[setting], flag


def test_memory_of_a_card_is_its_share_of_the_model_and_fits_the_peak(
    launches: list[Launch],
) -> None:
    for one in launches:
        for trial in _valid(one):
            seen = trial.measurements
            parts = ("weight_memory", "kv_cache_memory", "graph_memory")
            assert sum(seen[part] for part in parts) <= seen["gpu_memory_peak"]
            family = trial.cell.family
            weights = _weights(family.model, family.precision) / family.tensor_parallel
            assert seen["weight_memory"] == pytest.approx(weights, rel=0.01)
            each = seen["kv_cache_memory"] / seen["kv_cache_capacity"]
            assert each == pytest.approx(KV_BYTES / family.tensor_parallel, rel=0.001)


def _weights(model: Model, precision: str) -> float:
    """Bytes: two a parameter; in fp8 one, but embeddings and output head stay bf16."""
    wide = 2 * model.vocabulary * model.hidden
    return 2 * model.parameters if precision == "bf16" else model.parameters + wide


def test_it_counted_what_the_client_sent_and_agrees_on_times(launches: list[Launch]) -> None:
    for one in launches:
        for trial in _valid(one):
            asked = trial.requests
            assert trial.server["requests"] == len(asked)
            assert trial.server["prompt_tokens"] == sum(own.input_tokens for own in asked)
            assert trial.server["output_tokens"] == sum(own.output_tokens for own in asked)
            gaps = fmean(latencies(asked).itl)
            assert trial.server["itl_mean_s"] == pytest.approx(gaps, rel=0.03, abs=0.0002)


def test_it_is_gone_soon_after_sigterm_whatever_it_still_wants_to_do(
    launches: list[Launch],
) -> None:
    """Often it takes its own children's end for a crash and sleeps 5 s: then it is killed."""
    told = [one for one in launches if "stop" in one.phases_s]  # a call's end leaves what was kept
    assert len(told) == len(launches) - 3
    for one in told:
        assert "SIGTERM received" in one.log_tail
        sleeps = "Sleeping 5 seconds before crash diagnostics" in one.log_tail
        assert (one.phases_s["stop"] > TERM_GRACE_S) == sleeps
        assert one.phases_s["stop"] < TERM_GRACE_S + 1
