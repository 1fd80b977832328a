"""One trial of a family that returns its experts: every request once, untimed, and counted."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx

from runners import checks
from runners.builds.provided import variant_of
from runners.drawing import seed_of
from runners.engines.experts import BadExperts
from runners.errors import BadRequestFile, EngineDied, EngineHung, ExpertsNotReturned, RunnerError
from runners.measuring import Ready, failed, measure_cell
from runners.tally import Tally
from runners.workload import Draft
from schema.cells import RETURNS_EXPERTS, Cell, Family
from schema.nights import PlannedLaunch
from schema.trials import Trial, TrialState

log = logging.getLogger(__name__)

NAMES_THEM = re.compile(r"routed[-_ ]experts|AuxOutput")
"""In the last lines of an engine that will not return experts: vLLM has two names for it."""
LAST_LINES = 4
FRAME = re.compile(r'File "')
RAISED = re.compile(r"\w*(Error|Exception)\b")


def trial_of(family: Family) -> Callable[[Ready, Cell], Trial]:
    """How a cell of the family becomes a trial."""
    return observe_cell if family.returns_experts else measure_cell


def observe_cell(ready: Ready, cell: Cell) -> Trial:
    """Ask what the workload asks and count the experts; raises RunnerError when they do not come.

    Nothing is measured: returning experts changes every time and every size.
    """
    drafts = ready.drawn[cell.slug]
    if isinstance(drafts, BadRequestFile):
        return failed(cell, ready.plan.replicate, drafts)
    with ready.phases("ask"):
        ready.settle()
    log.info("%s: counting the experts of %d requests", cell.slug, len(drafts))
    started_at = datetime.now(UTC)
    tally = Tally(cell.family.model)
    with ready.phases("observe"):
        try:
            for draft, answer in _answered(ready, drafts, cell.workload.in_flight):
                tokens = len(draft.prompt) + draft.output_tokens - 1  # the last one is never read
                tally.add(ready.adapter.experts(answer), tokens)
        except (BadExperts, ValueError) as error:
            raise ExpertsNotReturned(f"{_asked(ready.plan)}: {error}") from error
    ready.server.require_alive()
    return _trial(ready, cell, started_at, tally)


def told_as_refusal(
    plan: PlannedLaunch, error: RunnerError | OSError, *, ready: bool
) -> RunnerError | OSError:
    """The error, or what it means: an engine that died of the flag refuses to return experts."""
    if ready or not plan.cells[0].family.returns_experts or not isinstance(error, EngineDied):
        return error
    said = _refusal([line.strip() for line in str(error).splitlines() if line.strip()])
    if not said:
        return error
    return ExpertsNotReturned(f"{_asked(plan)} did not start: {' / '.join(said)}")


def _refusal(lines: Sequence[str]) -> Sequence[str]:
    """The last lines that name experts. Where none does but a traceback went through a file named
    for them, as SGLang's does for a model whose layers it does not tell apart: its last such frame
    and what was raised."""
    said = [line for line in lines[-LAST_LINES:] if NAMES_THEM.search(line)]
    frames = [line for line in lines if FRAME.match(line) and NAMES_THEM.search(line)]
    if said or not frames:
        return said
    return [frames[-1], *[line for line in lines if RAISED.match(line)][-1:]]


def _answered(
    ready: Ready, drafts: Sequence[Draft], in_flight: int
) -> Iterator[tuple[Draft, dict[str, object]]]:
    """Every draft with its answer, in the order of the drafts."""
    pool = ThreadPoolExecutor(min(in_flight, len(drafts)))
    try:
        yield from zip(drafts, pool.map(lambda one: _answer(ready, one), drafts), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(ready: Ready, draft: Draft) -> dict[str, object]:
    """Raises ExpertsNotReturned, EngineDied or EngineHung."""
    body = {
        "model": ready.served_name,
        "prompt": list(draft.prompt),
        "max_tokens": draft.output_tokens,
        "ignore_eos": True,
        "temperature": 0,
        **ready.adapter.asks_experts,
    }
    try:
        answer = ready.server.http.post("/v1/completions", json=body, timeout=ready.timeout_s)
    except httpx.HTTPError as error:
        ready.server.require_alive_after(error)
        raise EngineHung(
            f"request {draft.index} got no answer in {ready.timeout_s:.0f} s: {error}"
        ) from error
    if answer.status_code != httpx.codes.OK:
        said = " ".join(answer.text[:300].split())
        raise ExpertsNotReturned(f"{_asked(ready.plan)}: HTTP {answer.status_code}: {said}")
    told = answer.json()
    return told if isinstance(told, dict) else {}


def _asked(plan: PlannedLaunch) -> str:
    return f"{plan.build} with --{RETURNS_EXPERTS}"


def _trial(ready: Ready, cell: Cell, started_at: datetime, tally: Tally) -> Trial:
    drawn = variant_of(ready.plan.build).simulates_routing
    done = () if drawn else (checks.no_expert_twice(tally.repeated_share),)
    why = checks.reason(done)
    return Trial(
        cell=cell,
        state=TrialState.VALID if why is None else TrialState.INVALID,
        reason=why,
        seed=seed_of(cell, ready.plan.replicate),
        started_at=started_at,
        measurements={"expert_balance": tally.selections.balance},
        checks=done,
        selections=tally.selections,
    )
