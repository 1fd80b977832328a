"""tailwatch release, demo, nightly: what makes Airflow work."""

import argparse
from pathlib import Path

from tailwatch import release, stack
from tailwatch.airflow_client import AirflowClient, DagRun
from tailwatch.commands.night import show_verdicts
from tailwatch.commands.parsing import Commands, add
from tailwatch.commands.record import record_and_judge
from tailwatch.commands.stack import show_addresses
from tailwatch.console import result, tell
from tailwatch.databases import find_database
from tailwatch.follow import display, follow
from tailwatch.home import REPOSITORY, find_home
from tailwatch.services import Stack

NIGHTLY = "nightly"
EXAMPLES = REPOSITORY / "examples"


def register(commands: Commands) -> None:
    add(
        commands,
        "demo",
        run_demo,
        "record what real GPUs measured, set vLLM 0.32.0 against 0.31.0 on this machine's CPU and "
        "show the verdicts; "
        "called again, go on where it was or show what was found",
    )
    _register_release(commands)
    nightly = add(
        commands,
        NIGHTLY,
        run_nightly,
        "run tonight's pass now",
        "  tailwatch nightly --unpause    begin the schedule, which begins with a pass",
    )
    nightly.add_argument("--unpause", action="store_true", help="begin the nightly schedule")


def _register_release(commands: Commands) -> None:
    parser = add(
        commands,
        "release",
        run_release,
        "compare a release with the one before it over a matrix, and follow until the verdict",
        "  tailwatch release vllm==0.32.0 --baseline 0.31.0\n"
        "  tailwatch release vllm==0.32.0 --baseline 0.31.0 --matrix nightly --launches 7\n"
        "  tailwatch release vllm==0.32.0+eager --baseline 0.32.0 "
        "--cells vllm/tiny-mixtral/bf16/cpu/tp1/enforce-eager/closed-4",
    )
    parser.add_argument("contender", metavar="ENGINE==VERSION", help="the build under test")
    parser.add_argument(
        "--baseline", required=True, metavar="VERSION", help="what it is set against"
    )
    parser.add_argument("--matrix", default="demo", metavar="NAME", help="name or file (demo)")
    parser.add_argument(
        "--launches",
        type=int,
        default=5,
        metavar="N",
        help="engine launches a side and family: each gives every cell one trial (5)",
    )
    parser.add_argument("--cells", nargs="+", default=[], metavar="SLUG", help="only these cells")
    parser.add_argument("--night", metavar="NAME", help="default: today's date and the two builds")


def run_release(arguments: argparse.Namespace) -> int:
    request = release.ask(
        arguments.contender,
        arguments.baseline,
        matrix=arguments.matrix,
        launches=arguments.launches,
        cells=tuple(arguments.cells),
        night=arguments.night,
    )
    running = stack.running_stack(find_home())
    with AirflowClient(running.airflow_url) as client:
        return _see_through(client, running, release.begin(client, request))


def run_demo(_: argparse.Namespace) -> int:
    request = release.ask("vllm==0.32.0", "0.31.0", matrix="demo", launches=5)
    home = find_home()
    running = stack.up(home, tell)
    show_history(running, find_database(home))
    with AirflowClient(running.airflow_url) as client:
        if run := release.unfinished(client, request):
            tell(f"going on with {run.run_id}")
            run = release.take_up(client, run)
        else:
            run = release.begin(client, request)
        code = _see_through(client, running, run)
    show_addresses(home, running)
    tell("everything stays up: `tailwatch down` ends it")
    return code


def show_history(running: Stack, url: str, folder: Path = EXAMPLES) -> None:
    """Record the nights of real GPUs, so that there is something to look at while this machine
    measures. Called again, it changes nothing."""
    tell("recording nights of real GPUs")
    for name, why in record_and_judge([folder], url).items():
        tell(f"not recorded: {name}: {why}")
    tell(f"look at them meanwhile: {running.dashboard_url}/moe")


def run_nightly(arguments: argparse.Namespace) -> int:
    running = stack.running_stack(find_home())
    with AirflowClient(running.airflow_url) as client:
        client.wait_for_dag(NIGHTLY, within_s=release.DAG_KNOWN_WITHIN_S)
        if client.is_paused(NIGHTLY):
            return _begin_schedule(client, running, arguments.unpause)
        run = client.trigger(NIGHTLY, None, {})
        result(f"{running.airflow_url}/dags/{NIGHTLY}/runs/{run.run_id}")
    return 0


def _begin_schedule(client: AirflowClient, running: Stack, unpause: bool) -> int:
    if not unpause:
        tell(
            "the DAG nightly is paused, and a paused DAG runs nothing: "
            "`tailwatch nightly --unpause` begins its schedule, which begins with a pass at once"
        )
        return 1
    client.unpause(NIGHTLY)
    result(f"{running.airflow_url}/dags/{NIGHTLY}")
    return 0


def _see_through(client: AirflowClient, running: Stack, run: DagRun) -> int:
    """Follow a release to its end and print its verdicts."""
    tell(f"watch it: {running.dashboard_url}/?night={run.run_id}")
    tell(f"its tasks: {running.airflow_url}/dags/{release.DAG}/runs/{run.run_id}")
    if not run.is_finished:
        try:
            with display() as show:
                run = follow(
                    client, release.DAG, run.run_id, show, lambda: stack.require_alive(running)
                )
        except KeyboardInterrupt:
            tell("it goes on without you: the same command follows it again")
            raise
    show_verdicts(run.run_id)
    if run.state == "success":
        return 0
    tell(_why_it_failed(client, run))
    return 1


def _why_it_failed(client: AirflowClient, run: DagRun) -> str:
    tasks = client.task_instances(release.DAG, run.run_id)
    failed = [f"{one.task} {one.label or ''}".strip() for one in tasks if one.state == "failed"]
    return f"the run ended as {run.state}; failed: {', '.join(failed) or 'no task'}"
