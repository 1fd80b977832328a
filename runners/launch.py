"""One launch: take the device, start the engine, measure every cell of the family, stop it.

`launch` always returns a document. What went wrong is in it: a trial is valid, invalid (a check
failed) or failed (it did not end). Being killed returns no document: then nothing happened, except
for what `Options.grown` was told before.
"""

import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runners import cards, cores, device, errors, host, quiet
from runners.builds.provided import Provided, Provisioner, caches
from runners.drawing import draw_all
from runners.engines import nccl
from runners.engines.adapter import Adapter, Start, Told
from runners.engines.catalogue import ADAPTERS
from runners.errors import RunnerError
from runners.load.client import client
from runners.measuring import Facts, Ready
from runners.model_files import model_folder
from runners.observing import told_as_refusal, trial_of
from runners.prometheus import parse
from runners.server import (
    Server,
    asked_meanwhile,
    engine_environment,
    free_port,
    last_lines,
    running,
    wait_until_ready,
)
from runners.story import Story
from runners.telemetry.watch import Watch
from schema.cells import Gpu
from schema.nights import PlannedLaunch
from schema.trials import Artefact, Build, Launch

log = logging.getLogger(__name__)

LOG_LINES = 200
UNPROVIDED = "not provided"  # digest of a build that could not be installed: its trials failed


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a host runs launches."""

    home: Path
    device_within_s: float = device.CLEAR_WITHIN_S
    """How long to wait for somebody else's launch on the device."""
    ready_within_s: float = 900.0
    request_timeout_s: float = 120.0
    port: int | None = None  # takes a free one
    grown: Callable[[Launch], None] | None = None
    """Told the document so far after each trial: what a launch that is killed leaves behind."""


def launch(
    plan: PlannedLaunch, provisioner: Provisioner, options: Options, *, attempt: int = 1
) -> Launch:
    """Run one planned launch on this host and return its document."""
    family = plan.cells[0].family
    unknown = Build(
        engine=plan.build.engine,
        version=plan.build.version,
        artefact=Artefact.ENVIRONMENT,
        digest=UNPROVIDED,
    )
    story = Story(
        plan=plan,
        attempt=attempt,
        began=datetime.now(UTC),
        grown=options.grown,
        host=host.describe(Gpu.CPU, 0),
        build=unknown,
    )
    try:
        story.host = host.describe(family.gpu, family.devices)
        provided = provisioner.find(plan.build, family.gpu)
        story.build = provided.build
        log.info("drawing the requests of %d cells", len(plan.cells))
        with story.phases("prepare"):
            story.drawn = draw_all(plan)
        _run(plan, provided, options, story)
    except (RunnerError, OSError) as error:  # OSError: this host's own disk or processes
        log.warning("%s: %s: %s", plan.label, type(error).__name__, error)
        story.error = told_as_refusal(plan, error, ready=story.startup_s is not None)
    return story.document()


def _run(plan: PlannedLaunch, provided: Provided, options: Options, story: Story) -> None:
    """From a free device to a free device."""
    adapter, gpu = ADAPTERS[plan.build.engine], plan.cells[0].family.gpu
    with ExitStack() as stack:
        with story.phases("wait"):
            taken = device.taken(story.host, plan.label, options.device_within_s)
            place = stack.enter_context(taken)
        with story.phases("prepare"):
            start = _start(plan, provided, options, story)
            command, after = _compose(adapter, provided, start, story)
        log_file = options.home / "logs" / "engines" / f"{start.served_name}.log"
        environment = engine_environment(story.environment, place.name)
        if after:
            environment["TAILWATCH_AFTER"] = after
        story.phases.begin("wait")
        turn = stack.enter_context(ExitStack())  # left after the engine: stopping is noise as well
        turn.enter_context(quiet.starting(gpu))
        try:
            with running(
                command, environment, log=log_file, port=start.port, held=place.locks
            ) as server:
                _serve(plan, adapter, start, server, turn, options, story)
                story.phases.begin("stop")
        finally:
            story.phases.end()
            story.log_tail = last_lines(log_file, LOG_LINES)
        device.wait_until_empty(story.host)
        turn.close()
        with story.phases("wait"):
            quiet.let_measure(gpu)


def _start(plan: PlannedLaunch, provided: Provided, options: Options, story: Story) -> Start:
    family = plan.cells[0].family
    place = caches(options.home, provided.build)
    story.caches_warm = (place / f"{family.key}.warm").exists()
    place.mkdir(parents=True, exist_ok=True)
    return Start(
        family=family,
        version=plan.build.release,
        python=provided.python,
        model=model_folder(family, options.home / "models"),
        served_name=f"tailwatch-{secrets.token_hex(6)}",
        port=options.port or free_port(),
        caches=place,
        cards=tuple(card.uuid for card in story.host.cards),
        compute_cores=tuple(cores.split(os.sched_getaffinity(0))[0]),
        flags=provided.variant.flags,
    )


def _compose(
    adapter: Adapter, provided: Provided, start: Start, story: Story
) -> tuple[list[str], str]:
    """(command line, JSON of the command to run after it); kept in the story as they are."""
    story.environment = {**provided.environment, **adapter.environment(start)}
    if start.cards:
        story.environment |= cards.only(start.cards)
    command, after = provided.wrap(adapter.command(start), story.environment, start)
    story.command = command
    return command, json.dumps(after) if after else ""


def _serve(
    plan: PlannedLaunch,
    adapter: Adapter,
    start: Start,
    server: Server,
    turn: ExitStack,
    options: Options,
    story: Story,
) -> None:
    """Everything that happens while the engine runs."""
    with ExitStack() as stack:
        apart = cores.for_telemetry(os.sched_getaffinity(0))
        ours = stack.enter_context(cores.client_core(start.family.gpu))
        story.watch = stack.enter_context(Watch(server.keeper.pid, start.cards, apart))
        processes = cores.client_processes(start.family.gpu)
        load = stack.enter_context(client(start.port, processes))
        _await_turn(adapter, start, server, turn, options, story)
        story.watch.begun()
        story.effective["client.cores"] = ",".join(map(str, sorted(ours)))
        story.effective["telemetry.core"] = str(apart)
        settle = stack.enter_context(_asked(adapter, start, server, story))
        ready = Ready(
            plan=plan,
            adapter=adapter,
            server=server,
            client=load,
            served_name=start.served_name,
            watch=story.watch,
            phases=story.phases,
            drawn=story.drawn,
            settle=settle,
            timeout_s=options.request_timeout_s,
        )
        for cell in plan.cells:
            trial = trial_of(cell.family)(ready, cell)
            story.log_tail = server.tail(LOG_LINES)
            story.tell(trial)


@contextmanager
def _asked(
    adapter: Adapter, start: Start, server: Server, story: Story
) -> Iterator[Callable[[], Facts]]:
    """Ask a ready engine for what it says of itself, the slow page beside what the body does."""
    with story.phases("ask"):
        samples = parse(server.page("/metrics").text)
        said = server.log.read_text(errors="replace")
    with asked_meanwhile(server, adapter.info_path) as info:

        def settle() -> Facts:
            told = Told(
                version=start.version,
                gpu=start.family.gpu,
                log=said,
                samples=samples,
                info=info.result(),
            )
            story.effective |= adapter.effective(told.info)
            story.host = story.host.model_copy(update={"nccl": nccl.version(said)})
            memory = adapter.memory(told)
            known = {**memory.known, "startup_s": story.phases.seconds["start"]}
            return Facts(known=known, untold=memory.untold, profile=memory.profile)

        yield settle


def _await_turn(
    adapter: Adapter,
    start: Start,
    server: Server,
    turn: ExitStack,
    options: Options,
    story: Story,
) -> None:
    """Return when the engine is ready and nobody else disturbs its measurement."""
    with story.phases("start"):
        wait_until_ready(
            server, adapter, served_name=start.served_name, within_s=options.ready_within_s
        )
    story.startup_s = story.phases.seconds["start"]
    (start.caches / f"{start.family.key}.warm").touch()
    with story.phases("wait"):
        turn.close()
        turn.enter_context(quiet.measuring(start.family.gpu))


def may_pass(document: Launch) -> bool:
    """Whether a failed launch is worth another attempt: not when the cause would be the same."""
    names = [(trial.reason or "").partition(":")[0] for trial in document.trials]
    return all(getattr(errors, name, RunnerError).may_pass for name in names if name)
