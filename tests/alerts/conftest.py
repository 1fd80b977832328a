"""Nights in every situation that a digest has to tell."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache

import pytest

from alerts.findings import Findings, findings
from regressions.compare import compare, side
from regressions.judge import judge
from regressions.policy import JUDGED, read_policy
from schema.arrivals import Arrival
from schema.cells import Cell, Engine, Family, Gpu, Precision, Workload
from schema.episodes import Attribution, Cause, Episode, Member, Transition
from schema.episodes import EpisodeState as State
from schema.judgements import Comparison, Judgement, Verdict, Warning
from schema.lengths import Lengths
from schema.metrics import METRICS
from schema.models import Model, Weights
from schema.nights import Night, NightKind
from schema.store.annotations import Annotation
from schema.store.trials import TrialSummary
from schema.trials import Arm, TrialState

POLICY = read_policy()
NOISE = [1.0, 1.006, 0.995, 1.002, 0.997]
TYPICAL = {"s": 0.0112, "tok/s": 2345.6, "req/s": 12.3, "B": 71.5 * 2**30, "tok": 407_296.0}
BASE = {"ttft": 0.187, "itl": 0.0112, "tpot": 0.0118, "e2e": 2.94}
HOST = Warning(
    code="host-changed",
    text="baseline and contender differ in host: driver 570.86.15 → 575.57.08",
)
PACKAGES = Warning(
    code="environment-changed",
    text="vllm 0.32.0 ran in 2 environments: starlette 0.48.0 → 0.49.1, with triton 3.7",
)
Moves = dict[tuple[int, str], float]


def model(name: str, experts: int) -> Model:
    return Model(
        name=f"mistralai/{name}", weights=Weights.DUMMY, layers=2, hidden=128, intermediate=256,
        heads=4, kv_heads=2, head_dim=32, vocabulary=1024, experts=experts,
        active_experts=min(2, experts), max_position=4096,
    )  # fmt: skip


def make_cells(count: int = 4) -> tuple[Cell, ...]:
    lengths = Lengths(mean=64, longest=64)
    models = [model("Mixtral-8x7B-v0.1", 8), model("Mistral-7B-v0.3", 1)]
    return tuple(
        Cell(
            family=Family(
                engine=Engine.VLLM, model=models[at % 2], precision=Precision.BF16, gpu=Gpu.H100,
                max_model_len=256,
            ),
            workload=Workload(
                name=f"chat-r{1 + at // 2}", arrival=Arrival.OPEN_LOOP, rate=1 + at // 2,
                requests=60, input_tokens=lengths, output_tokens=lengths,
            ),
        )
        for at in range(count)
    )  # fmt: skip


def make_night(kind: NightKind = NightKind.RELEASE, cells: int = 4) -> Night:
    release = kind is NightKind.RELEASE
    return Night(
        name="2026-11-21-release-vllm-0.32.0-vs-0.31.0" if release else "2026-11-21",
        kind=kind,
        matrix="release" if release else "nightly",
        matrix_digest="1" * 16,
        contenders=("vllm==0.32.0",),
        baselines=("vllm==0.31.0",) if release else (),
        cells=make_cells(cells),
        launches=20,
    )


def comparisons(
    night: Night, moves: Moves, *, trials: int = 5, warnings: Sequence[Warning] = ()
) -> Iterator[Comparison]:
    for at, cell in enumerate(night.cells):
        for metric in JUDGED:
            base = BASE.get(metric.partition("_")[0], TYPICAL.get(METRICS[metric].unit, 1.7))
            still = metric in POLICY.exact
            first = [base * (1 if still else noise) for noise in NOISE[:trials]]
            factor = 1 + moves.get((at, metric), 0.0)
            yield compare(
                night=night.name, cell=cell.key, metric=metric, policy=POLICY, warnings=warnings,
                baseline=side(["old"], [f"{at}b{n}" for n in range(trials)], first),
                contender=side(
                    ["new"], [f"{at}c{n}" for n in range(trials)],
                    [value * factor for value in reversed(first)],
                ),
            )  # fmt: skip


def absent(night: Night, cell: Cell, text: str) -> Comparison:
    return compare(
        night=night.name, cell=cell.key, metric="output_throughput", policy=POLICY,
        baseline=side([], [], []), contender=side([], [], []),
        warnings=[Warning(code="no-valid-trial", text=text)],
    )  # fmt: skip


def make_trials(night: Night, fallen: Sequence[int] = (), trials: int = 5) -> list[TrialSummary]:
    """5 valid trials a side; the contender's died in the `fallen` cells."""
    return [
        TrialSummary(
            key=f"{at}{arm[8]}{n}".ljust(16, "0"), night=night.name, launch="l" * 16, arm=arm,
            replicate=n, attempt=1, cell=cell.key, cell_slug=cell.slug,
            workload=cell.workload.name, build="b" * 16, build_name="vllm 0.32.0", host="bench-01",
            fingerprint="f" * 16, driver="570.86.15",
            state=TrialState.FAILED if died else TrialState.VALID,
            reason="engine died: exit code 1, see the log" if died else None, replaced=False,
            launched_at=datetime(2026, 11, 21, 1, tzinfo=UTC), started_at=None, duration_s=None,
            startup_s=None,
        )
        for at, cell in enumerate(night.cells)
        for arm in (Arm.RELEASE_BASELINE, Arm.RELEASE_CONTENDER)
        for n in range(trials)
        for died in [at in fallen and arm is Arm.RELEASE_CONTENDER]
    ]  # fmt: skip


def remark(night: Night, cell: Cell) -> Annotation:
    return Annotation(
        night=night.name, cell=cell.key, metric=None, author="mira",
        text="the new sampler, expected until 0.32.1",
        created_at=datetime(2026, 11, 21, 8, tzinfo=UTC),
    )  # fmt: skip


ITL_SLOWER: Moves = {(0, "itl_p50"): 0.104, (0, "itl_p90"): 0.093, (0, "tpot_p50"): 0.101}
MEMORY_BETTER: Moves = {(1, "gpu_memory_peak"): -0.082, (1, "kv_cache_capacity"): 0.21}


def plain(
    moves: Moves, *, warnings: Sequence[Warning] = (), trials: int = 5, cells: int = 4
) -> Findings:
    night = make_night(cells=cells)
    found = judge(list(comparisons(night, moves, trials=trials, warnings=warnings)), POLICY)
    return findings(night, found, make_trials(night, trials=trials))


def half_failed() -> Findings:
    night = make_night()
    kept = {night.cells[0].key, night.cells[2].key}
    found = [one for one in comparisons(night, {}) if one.cell in kept]
    text = "no valid contender trial: 5 failed, engine died: exit code 1, see the log"
    found += [absent(night, cell, text) for cell in night.cells if cell.key not in kept]
    return findings(night, judge(found, POLICY), make_trials(night, fallen=[1, 3]))


def nothing_ran() -> Findings:
    night = make_night(NightKind.NIGHTLY)
    text = "no valid contender trial: none was made"
    found = judge([absent(night, cell, text) for cell in night.cells], POLICY)
    return findings(night, found, [])


def known() -> Findings:
    night = make_night()
    found = judge(list(comparisons(night, ITL_SLOWER)), POLICY)
    return findings(night, found, make_trials(night), [remark(night, night.cells[0])])


def recovery() -> Findings:
    night = make_night(NightKind.NIGHTLY)
    before = judge(list(comparisons(night, ITL_SLOWER)), POLICY)
    tonight = judge(list(comparisons(night, {})), POLICY)
    return findings(night, tonight, make_trials(night), before=before)


def episode(night: Night, *steps: Transition, moves: Moves = ITL_SLOWER) -> Episode:
    """A build of vLLM in the first step's night; the later steps follow it."""
    cause = Cause(
        attribution=Attribution.BUILD, subject="vllm", builds=("vllm 0.31.0", "vllm 0.32.0"),
        reasons=("the pinned build did not move on the same hosts",),
        nights=("2026-11-16", steps[0].night),
    )  # fmt: skip
    members = tuple(
        Member(
            cell=night.cells[at].key, metric=metric, kind=night.kind, night=steps[0].night,
            change=change, p=0.0079,
            verdict=Verdict.REGRESSION if change > 0 else Verdict.IMPROVEMENT,
        )
        for (at, metric), change in moves.items()
    )  # fmt: skip
    opened = steps[0].model_copy(update={"cause": cause})
    return Episode(key="4f1c0a9b2d3e5f60", members=members, history=(opened, *steps[1:]))


def took(night: str, before: State | None, state: State, **more: object) -> Transition:
    facts = {"reason": f"still there in {night}: itl_p50 +10.4 %", **more}
    return Transition(night=night, before=before, state=state, **facts)


def with_episode(*steps: Transition, moves: Moves = ITL_SLOWER) -> Findings:
    """A nightly whose regressions, if any, are held by the episode."""
    night = make_night(NightKind.NIGHTLY)
    found = judge(list(comparisons(night, moves)), POLICY)
    own = episode(night, *steps)
    return findings(night, found, make_trials(night), episodes=[own])


TONIGHT = "2026-11-21"
OPENED = took("2026-11-17", None, State.SUSPECTED)
CONFIRMED = took("2026-11-18", State.SUSPECTED, State.CONFIRMED)
TAKEN = took(
    "2026-11-18", State.CONFIRMED, State.ACKNOWLEDGED, by="mira", owner="kim",
    due=date(2026, 12, 1), link="https://example.com/vllm/1", reason="a fix is under review",
    at=datetime(2026, 11, 18, 8, tzinfo=UTC),
)  # fmt: skip


NOT_CONFIRMED = took(
    TONIGHT, State.SUSPECTED, State.SUSPECTED,
    reason="not confirmed: budget of 120 GPU-minutes spent, 104 of them on what is more severe; "
    "5 v 5 launches take about 30",
)  # fmt: skip


def too_many() -> Findings:
    """60 cells with a slower itl, each judged alone: 5 v 5 trials cannot carry 60 cells at once."""
    night = make_night(cells=60)
    found: list[Judgement] = []
    for at in range(60):
        one = night.model_copy(update={"cells": night.cells[at : at + 1]})
        found += judge(list(comparisons(one, {(0, "itl_p50"): 0.5})), POLICY)
    return findings(night, found, make_trials(night))


SITUATIONS: dict[str, Callable[[], Findings]] = {
    "quiet-night": lambda: plain({}),
    "one-regression": lambda: plain({(0, "itl_p50"): 0.104}),
    "improvement-only": lambda: plain(MEMORY_BETTER),
    "both": lambda: plain(ITL_SLOWER | MEMORY_BETTER),
    "inconclusive-only": lambda: plain(ITL_SLOWER, trials=3),
    "host-changed": lambda: plain(ITL_SLOWER, warnings=[HOST]),
    "packages-changed": lambda: plain(ITL_SLOWER, warnings=[PACKAGES]),
    "half-of-the-cells-failed": half_failed,
    "nothing-ran": nothing_ran,
    "more-than-slack-takes": too_many,
    "known-regression": known,
    "recovery": recovery,
    "episode-suspected": lambda: with_episode(took(TONIGHT, None, State.SUSPECTED)),
    "episode-confirmed": lambda: with_episode(
        OPENED, took(TONIGHT, State.SUSPECTED, State.CONFIRMED)
    ),
    "episode-not-confirmed": lambda: with_episode(OPENED, NOT_CONFIRMED),
    "episode-still-open": lambda: with_episode(OPENED, CONFIRMED, TAKEN),
    "episode-fixed": lambda: with_episode(
        OPENED,
        CONFIRMED,
        TAKEN,
        took(TONIGHT, State.ACKNOWLEDGED, State.FIXED, reason="back at the last good level"),
        moves={},
    ),
    "episode-back": lambda: with_episode(
        OPENED,
        CONFIRMED,
        took("2026-11-19", State.CONFIRMED, State.FIXED),
        took(TONIGHT, State.FIXED, State.SUSPECTED, reason="the same step is back"),
    ),
}
SITUATIONS = {name: cache(made) for name, made in SITUATIONS.items()}


@pytest.fixture(params=SITUATIONS, scope="session")
def situation(request: pytest.FixtureRequest) -> tuple[str, Findings]:
    """Name and findings of each situation in turn."""
    return request.param, SITUATIONS[request.param]()


@pytest.fixture(scope="session")
def situations() -> dict[str, Callable[[], Findings]]:
    return SITUATIONS
