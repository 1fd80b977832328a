"""What each task does. Plain functions: Airflow is only their clock."""

import logging
import os
from typing import Any

from alerts.night import read_digest
from alerts.slack import announce as post
from alerts.text import as_text
from dags.orders import StaleMatrix, order, planned_launch
from dags.planning import plan_confirmation, plan_nightly, plan_release
from regressions import night as judging
from regressions.policy import read_policy
from runners import spool
from runners.builds.environment import EnvironmentProvisioner
from runners.errors import SpoolError
from runners.home import home
from runners.launch import Options, launch, may_pass
from runners.stopping import terminated_as_exception
from schema.cells import Gpu
from schema.matrix import Matrix, load_matrix
from schema.nights import Night, PlannedLaunch
from schema.session import reading, writing
from schema.store.confirmations import confirmations
from schema.store.launches import record
from schema.store.nights import cells_without_trials, record_night
from schema.store.nights import night as stored_night
from schema.store.trials import trials_of_night
from schema.trials import BuildSpec, Launch, TrialState

log = logging.getLogger(__name__)

SPOOL = "spool"
DEVICE_WITHIN_S = 1800.0
"""A person's launch by hand on the same host delays a night; it does not cost its attempts."""


class NightIncomplete(Exception):
    """Some of what was planned was not measured."""


def plan_a_release(params: dict[str, Any], today: str) -> dict[str, Any]:
    """Record the night and return its orders."""
    contender = BuildSpec(engine=params["engine"], version=params["version"])
    baseline = BuildSpec(engine=params["engine"], version=params["baseline"])
    matrix = load_matrix(params["matrix"])
    usual = f"{today}-release-{contender.engine}-{contender.version}-vs-{baseline.version}"
    night, planned = plan_release(
        matrix,
        matrix.select(params["cells"] or ()),
        name=params["night"] or usual,
        contender=contender,
        baseline=baseline,
        launches=params["launches"],
    )
    return _planned(matrix, night, planned)


def plan_a_night(params: dict[str, Any], today: str) -> dict[str, Any]:
    """Record the night and return its orders."""
    matrix = load_matrix(params["matrix"])
    builds = [BuildSpec.parse(text) for text in params["builds"]]
    return _planned(matrix, *plan_nightly(matrix, builds, name=today))


def plan_confirmations(name: str) -> dict[str, Any] | None:
    """The orders that confirm what a judged night suspects; None where it suspects nothing.

    The plan is made once. What of it has a valid trial already is not ordered again.
    """
    with writing() as session:
        found = judging.plan_confirmations(session, name, read_policy())
        night, made = stored_night(session, name), trials_of_night(session, name)
    for one in found:
        log.info("episode %s: %s", one.episode, one.reason)
    if not found:
        return None
    done = {(t.arm, t.replicate, t.cell) for t in made if t.state is TrialState.VALID}
    left = [
        one
        for one in plan_confirmation(night, found)
        if (one.arm, one.replicate, one.cells[0].key) not in done
    ]
    return _orders(_matrix_of(night), night, left)


def _matrix_of(night: Night) -> Matrix:
    matrix = load_matrix(night.matrix)
    if matrix.digest != night.matrix_digest:
        raise StaleMatrix(
            f"matrix {matrix.name} is {matrix.digest} now, night {night.name} was planned with "
            f"{night.matrix_digest}: nothing can be confirmed in it any more"
        )
    return matrix


def _planned(matrix: Matrix, night: Night, planned: list[PlannedLaunch]) -> dict[str, Any]:
    with writing() as session:
        record_night(session, night)
    return _orders(matrix, night, planned)


def _orders(matrix: Matrix, night: Night, planned: list[PlannedLaunch]) -> dict[str, Any]:
    """{"night", and for each kind of device its "builds" and "orders"}."""
    found: dict[str, Any] = {gpu.value: {"builds": [], "orders": []} for gpu in Gpu}
    for one in planned:
        gpu = one.cells[0].family.gpu.value
        build = {"build": f"{one.build.engine}=={one.build.release}", "gpu": gpu}
        found[gpu]["builds"] += [build] if build not in found[gpu]["builds"] else []
        found[gpu]["orders"].append(order(one, matrix))
    log.info("night %s: %d launches of %d cells", night.name, len(planned), len(night.cells))
    return {"night": night.name, **found}


def provision(wanted: dict[str, str]) -> None:
    """Install one build on this host."""
    provisioner = EnvironmentProvisioner(home())
    found = provisioner.provision(BuildSpec.parse(wanted["build"]), Gpu(wanted["gpu"]))
    log.info("%s is ready: %s", found.build.name, found.build.digest)


def run_trials(received: dict[str, Any], *, attempt: int) -> bool:
    """One launch: its document ends in the spool. Returns whether another attempt may help.

    A launch whose document is in the spool already is not repeated: its task was killed after
    the work was done. Only a document that shows failure gives way to a further attempt.
    """
    planned = planned_launch(received)
    done = _spooled(planned, attempt)
    if done is None:
        with terminated_as_exception():
            options = Options(home=home(), device_within_s=DEVICE_WITHIN_S)
            done = launch(planned, EnvironmentProvisioner(home()), options, attempt=attempt)
            spool.keep(done, home() / SPOOL)
    for trial in done.trials:
        log.info("%s: %s %s", trial.cell.slug, trial.state, trial.reason or "")
    return not _all_valid(done) and may_pass(done)


def _spooled(planned: PlannedLaunch, attempt: int) -> Launch | None:
    for path in spool.waiting(home() / SPOOL, planned.night):
        kept = spool.read(path)
        same = (kept.arm, kept.replicate) == (planned.arm, planned.replicate)
        if not same or {t.cell.key for t in kept.trials} != {c.key for c in planned.cells}:
            continue
        if kept.attempt == attempt or _all_valid(kept):
            return kept
    return None


def _all_valid(document: Launch) -> bool:
    return all(trial.state is TrialState.VALID for trial in document.trials)


def record_spool(night: str | None = None) -> int:
    """Store every waiting document once; a document leaves the spool only after it is stored."""
    stored = 0
    for path in spool.waiting(home() / SPOOL, night):
        try:
            document = spool.read(path)
        except SpoolError:
            if path.exists():
                raise
            continue  # another recorder stored it a moment ago
        with writing() as session:
            stored += record(session, document)
        path.unlink(missing_ok=True)
    log.info("%d trials stored", stored)
    return stored


def judge(night: str) -> None:
    """Compare, conclude and store the conclusions."""
    judging.judge_by_both(night)


def judge_again(night: str) -> bool:
    """Judge a night with what came of its confirmations; False where none were planned."""
    with reading() as session:
        planned = confirmations(session, night)
    if planned:
        judge(night)
    return bool(planned)


def announce(night: str) -> None:
    """The digest: to the log always, to Slack once where it is configured."""
    with reading() as session:
        digest = read_digest(session, night)
    log.info("\n%s", as_text(digest))
    if os.environ.get("SLACK_BOT_TOKEN"):
        log.info("posted" if post(digest) else "was posted before")
    else:
        log.info("SLACK_BOT_TOKEN is not set: nothing was posted")


def require_complete(night: str) -> None:
    """Raise NightIncomplete unless all that was planned has a valid last attempt."""
    with reading() as session:
        unmeasured = [cell.slug for cell in cells_without_trials(session, night)]
        planned, made = stored_night(session, night), trials_of_night(session, night)
        confirming = len(plan_confirmation(planned, confirmations(session, night)))
    mistakes = [f"no trial of {slug}" for slug in unmeasured]
    lost = [t for t in made if t.state is not TrialState.VALID and not t.replaced]
    mistakes += [f"{trial.cell_slug} {trial.state}: {trial.reason}" for trial in lost]
    families = {cell.key: cell.family.key for cell in planned.cells}
    launches = {
        (t.arm, t.build_name, t.replicate, families[t.cell]) for t in made if t.cell in families
    }
    asked = planned.launches + confirming
    if len(launches) < asked:  # further attempts at one launch are one launch
        mistakes.append(f"{len(launches)} of {asked} launches are stored")
    if mistakes:
        raise NightIncomplete("\n".join(mistakes))
