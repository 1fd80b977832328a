"""A slow build and a slow host, really: vLLM on this machine's cores, through the nightly DAG.

Slowness is planted: a thread that keeps the interpreter of the engine busy half of the time, in one
build, then in every engine of the host.
"""

from typing import TYPE_CHECKING

import pytest

from schema.episodes import Attribution, EpisodeState
from tailwatch.home import REPOSITORY, Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.conftest import Site

pytestmark = [pytest.mark.long, pytest.mark.airflow, pytest.mark.engine, pytest.mark.timeout(3600)]

QUIET_NIGHT, SLOW_BUILD_NIGHT = "2026-11-18", "2026-11-19"
BEFORE_HOST_NIGHT, SLOW_HOST_NIGHT = "2026-11-20", "2026-11-21"
BUILDS, HOSTS = "closed-4", "open-8"
"""A cell each, so that one pair of nights knows nothing of the other."""
GOOD, SLOW, LATER = "vllm==0.32.0", "vllm==0.32.0+busy", "vllm==0.32.0+eager"
"""All cells are eager, so the last one is as fast as the first."""
LAUNCHES = 5
POLL_S = 10.0
SLOW_HOST = """
from runners.builds import environment, provided
if pathlib.Path({flag!r}).exists():
    environment.variant_of = lambda spec: provided.VARIANTS["busy"]
"""


@pytest.fixture(scope="module")
def engines(installed: None, home: Home, nightly_of: "Callable[..., None]") -> None:
    """Real ones, and two matrices of one cell of the demo each."""
    demo = (REPOSITORY / "matrices" / "demo.yaml").read_text()
    head, _, llama = demo.partition("families:\n")
    family = (
        "  - engine: vllm\n    model: tiny-llama\n" + llama.rpartition("model: tiny-llama\n")[2]
    )
    text = f"{head}families:\n{family}\nlaunches: {LAUNCHES}\n"
    nightly_of(SLOW_HOST.format(flag=str(home.directory / "slow-host")))
    for workload in (BUILDS, HOSTS):
        alone = text.replace("workloads: [closed-4, open-8]", f"workloads: [{workload}]")
        assert alone != text
        (home.directory / "matrices" / f"{workload}.yaml").write_text(alone)


@pytest.fixture(scope="module")
def slow_build(site: "Site") -> "Site":
    """The stack after a quiet night and one with a slow build."""
    _night(site, QUIET_NIGHT, GOOD, BUILDS)
    _night(site, SLOW_BUILD_NIGHT, SLOW, BUILDS)
    return site


@pytest.fixture(scope="module")
def slow_host(site: "Site") -> "Site":
    """After a night on which every engine of the host was slow."""
    _night(site, BEFORE_HOST_NIGHT, GOOD, HOSTS)
    (site.home.directory / "slow-host").touch()
    _night(site, SLOW_HOST_NIGHT, LATER, HOSTS)
    return site


def _night(site: "Site", night: str, build: str, matrix: str) -> None:
    site.begin_nightly(night, build, matrix=matrix)
    run = site.end(night, dag="nightly", poll_s=POLL_S)
    assert run.state == "success", [trial.reason for trial in site.trials(night)]
    print(site.told(night))


def test_a_slow_build_is_confirmed_in_its_own_night(slow_build: "Site") -> None:
    [found] = slow_build.opened_in(SLOW_BUILD_NIGHT)
    assert (found.state, found.cause.attribution) == (EpisodeState.CONFIRMED, Attribution.BUILD)
    assert found.cause.builds == ("vllm 0.32.0", "vllm 0.32.0+busy")
    assert found.history[-1].reason.startswith("measured again in turns: ")
    assert "confirmed, build: " in slow_build.told(SLOW_BUILD_NIGHT)
    page = slow_build.shown("episodes", episode=found.key)
    assert "vllm 0.32.0 → 0.32.0+busy: confirmed" in page


def test_a_slow_host_is_told_from_its_build(slow_host: "Site") -> None:
    """No pinned build ran: the last good one, measured again, is the witness."""
    [found] = slow_host.opened_in(SLOW_HOST_NIGHT)
    blamed = (found.state, found.cause.attribution)
    assert blamed == (EpisodeState.INFRASTRUCTURE, Attribution.HOST)
    assert "vllm 0.32.0 has moved as well" in found.history[-1].reason
    assert "infrastructure, host: " in slow_host.told(SLOW_HOST_NIGHT)
    page = slow_host.shown("episodes", episode=found.key)
    assert f"{found.cause.words}: infrastructure" in page
