"""A nightly that suspects something measures it again before it ends, and says who is to blame.

The stack is real, the engines take as long as they are told: so nights and hosts can be slow at
will. What a real engine does is in test_a_real_confirmation.py.
"""

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from schema.episodes import Attribution, EpisodeState
from tailwatch import processes
from tailwatch.home import Home

if TYPE_CHECKING:
    from tests.system.conftest import Fakes, Site

pytestmark = [pytest.mark.long, pytest.mark.airflow, pytest.mark.timeout(1800)]

PINNED, GOOD, SLOW, LATER = "0.0.0", "0.0.1", "0.0.2", "0.0.3"
QUIET_NIGHT, SLOW_BUILD_NIGHT = "2026-11-18", "2026-11-19"
BEFORE_HOST_NIGHT, SLOW_HOST_NIGHT = "2026-11-20", "2026-11-21"
BUILDS, HOSTS = 4, 2
"""Requests in flight: another cell each, so that one pair of nights knows nothing of the other."""
PACE_S, SLOWED_S = 0.02, 0.03
LAUNCHES = 5


def _matrix(concurrency: int) -> str:
    return f"""
models:
  tiny: {{name: tiny, weights: dummy, layers: 2, hidden: 128, intermediate: 1024, heads: 4,
          kv_heads: 2, head_dim: 32, vocabulary: 1024, max_position: 4096}}
workloads:
  closed: {{arrival: closed-loop, concurrency: {concurrency}, requests: 8,
            input_tokens: {{mean: 64, longest: 64}}, output_tokens: {{mean: 24, longest: 24}}}}
families:
  - {{engine: vllm, model: tiny, precision: bf16, gpu: cpu, max_model_len: 2048,
      kv_cache_bytes: 1073741824, workloads: [closed]}}
control: [vllm=={PINNED}]
launches: {LAUNCHES}
"""


ONCE = {"nightly": LAUNCHES, "control": LAUNCHES}
CONFIRMED = ONCE | {"confirm-baseline": LAUNCHES, "confirm-contender": LAUNCHES}


@pytest.fixture(scope="module")
def engines(fakes: "Fakes", home: Home) -> None:
    for name, concurrency in (("builds", BUILDS), ("hosts", HOSTS)):
        (home.directory / "matrices" / f"{name}.yaml").write_text(_matrix(concurrency))
    for version in (PINNED, GOOD, SLOW, LATER):
        fakes.behave(version, itl_s=SLOWED_S if version == SLOW else PACE_S)


@pytest.fixture(scope="module")
def quiet(site: "Site") -> "Site":
    """The stack after a night to which nothing was known before."""
    site.begin_nightly(QUIET_NIGHT, f"vllm=={GOOD}", matrix="builds")
    assert site.end(QUIET_NIGHT, dag="nightly").state == "success"
    return site


@pytest.fixture(scope="module")
def slow_build(quiet: "Site", fakes: "Fakes", wait: Callable[..., Any]) -> "Site":
    """After a night with a slow build, in whose confirmation a task was killed."""
    quiet.begin_nightly(SLOW_BUILD_NIGHT, f"vllm=={SLOW}", matrix="builds")
    wait(lambda: quiet.confirms(SLOW_BUILD_NIGHT), "a trial confirms", within_s=600)
    launched = fakes.launch_of(wait(fakes.serving, "another is made", within_s=60))
    os.kill(fakes.task_of(launched), signal.SIGKILL)
    assert processes.wait(launched, within_s=5.0) == []
    assert quiet.end(SLOW_BUILD_NIGHT, dag="nightly").state == "success"
    return quiet


@pytest.fixture(scope="module")
def slow_host(site: "Site", fakes: "Fakes") -> "Site":
    """After a night on which everything was slow, the pinned and the last good build too."""
    site.begin_nightly(BEFORE_HOST_NIGHT, f"vllm=={GOOD}", matrix="hosts")
    assert site.end(BEFORE_HOST_NIGHT, dag="nightly").state == "success"
    for version in (PINNED, GOOD, LATER):
        fakes.behave(version, itl_s=SLOWED_S)
    site.begin_nightly(SLOW_HOST_NIGHT, f"vllm=={LATER}", matrix="hosts")
    assert site.end(SLOW_HOST_NIGHT, dag="nightly").state == "success"
    return site


def test_a_night_that_suspects_nothing_measures_nothing_again(quiet: "Site") -> None:
    assert quiet.arms(QUIET_NIGHT) == ONCE
    tasks = [one for one in quiet.tasks("nightly", QUIET_NIGHT) if one.task.startswith("confirm.")]
    assert {one.state for one in tasks} == {"skipped"}


def test_a_slow_build_ends_the_night_as_one_confirmed_episode(slow_build: "Site") -> None:
    [found] = slow_build.opened_in(SLOW_BUILD_NIGHT)
    assert (found.state, found.cause.attribution) == (EpisodeState.CONFIRMED, Attribution.BUILD)
    assert found.cause.builds == (f"vllm {GOOD}", f"vllm {SLOW}")
    assert found.history[-1].reason.startswith("measured again in turns: ")
    told = slow_build.told(SLOW_BUILD_NIGHT)
    assert "1 episode opened" in told
    assert "confirmed, build: " in told


def test_a_task_killed_while_confirming_loses_no_trial_and_repeats_none(slow_build: "Site") -> None:
    assert slow_build.arms(SLOW_BUILD_NIGHT) == CONFIRMED
    assert set(slow_build.counted(SLOW_BUILD_NIGHT).values()) == {1}
    assert slow_build.waiting(SLOW_BUILD_NIGHT) == []


def test_a_slow_host_ends_the_night_as_one_episode_of_the_host(slow_host: "Site") -> None:
    [found] = slow_host.opened_in(SLOW_HOST_NIGHT)
    assert (found.state, found.cause.attribution) == (
        EpisodeState.INFRASTRUCTURE,
        Attribution.HOST,
    )
    assert f"vllm {GOOD} has moved as well" in found.history[-1].reason
    assert slow_host.arms(SLOW_HOST_NIGHT) == CONFIRMED
    assert "infrastructure, host: " in slow_host.told(SLOW_HOST_NIGHT)
