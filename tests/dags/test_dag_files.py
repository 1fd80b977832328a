"""The DAGs as Airflow sees them: their graphs, and what they let in."""

from typing import TYPE_CHECKING, Any

import pytest

from schema.cells import Gpu

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG


GPUS = ("cpu", "h100", "h200")


def _measuring(within: str = "") -> dict[str, set[str]]:
    """Upstream tasks of a plan's launches on every kind of device, and of the judgement of them."""
    tasks = {f"{within}judge": {"plan", f"{within}plan"}}
    for gpu in GPUS:
        own = f"{within}{gpu}"
        tasks |= {
            f"{own}.builds": {f"{within}plan"},
            f"{own}.orders": {f"{within}plan"},
            f"{own}.provision": {f"{own}.builds"},
            f"{own}.launches.trial": {f"{own}.provision", f"{own}.orders"},
            f"{own}.launches.record": {f"{own}.launches.trial", f"{own}.orders"},
        }
        tasks[f"{within}judge"].add(f"{own}.launches.record")
    return tasks


GATE = {"gate": {"plan", "announce"}}
RELEASE = {"plan": set(), **_measuring(), "announce": {"plan", "judge"}, **GATE}
NIGHTLY = {
    "plan": set(),
    **_measuring(),
    "confirm.plan": {"plan", "judge"},
    **_measuring("confirm."),
    "announce": {"plan", "confirm.judge"},
    **GATE,
}


def test_every_dag_file_can_be_imported(dag_bag: "DagBag") -> None:
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == {"nightly", "release", "housekeeping"}


@pytest.mark.parametrize(("name", "graph"), [("nightly", NIGHTLY), ("release", RELEASE)])
def test_a_pass_plans_measures_records_judges_and_a_nightly_confirms(
    dag_bag: "DagBag", name: str, graph: dict[str, set[str]]
) -> None:
    dag = dag_bag.dags[name]
    assert {task.task_id: set(task.upstream_task_ids) for task in dag.tasks} == graph


def test_what_is_confirmed_waits_for_a_device_like_any_launch(nightly_dag: "DAG") -> None:
    tasks = nightly_dag.task_dict
    assert {tasks[f"confirm.{gpu}.launches.trial"].pool for gpu in GPUS} == set(GPUS)


def test_only_the_gate_decides_how_a_run_ended(release_dag: "DAG") -> None:
    assert [task.task_id for task in release_dag.tasks if not task.downstream_task_ids] == ["gate"]


@pytest.mark.parametrize("gpu", [gpu.value for gpu in Gpu])
def test_launches_wait_for_a_device_of_their_kind_and_recording_does_not(
    release_dag: "DAG", gpu: str
) -> None:
    assert release_dag.task_dict[f"{gpu}.launches.trial"].pool == gpu
    assert release_dag.task_dict[f"{gpu}.launches.record"].pool == "default_pool"


def test_no_pass_overtakes_another_of_its_kind(dag_bag: "DagBag") -> None:
    assert {dag.max_active_runs for dag in dag_bag.dags.values()} == {1}
    assert not any(dag.catchup for dag in dag_bag.dags.values())


def test_housekeeping_is_one_task_a_day_that_nobody_has_to_begin(dag_bag: "DagBag") -> None:
    dag = dag_bag.dags["housekeeping"]
    assert [task.task_id for task in dag.tasks] == ["keep_house"]
    assert dag.task_dict["keep_house"].retries > 0
    assert dag.is_paused_upon_creation is False
    assert dag.schedule == "0 12 * * *"


@pytest.mark.parametrize("days", [-1, "90", 1.5])
def test_housekeeping_refuses_what_is_no_number_of_days(dag_bag: "DagBag", days: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag_bag.dags["housekeeping"].params.get_param("keep_days").resolve(days)


REFUSED: list[tuple[str, Any]] = [
    ("version", "0.32.0; rm -rf /"),
    ("version", "$(id)"),
    ("version", "0.32.0\n"),
    ("version", "-e ."),
    ("version", "latest"),
    ("version", "0.32.0+One Core"),
    ("version", ""),
    ("baseline", "../0.31.0"),
    ("baseline", ">=0.31"),
    ("baseline", "`id`"),
    ("engine", "tensorrt-llm"),
    ("engine", "vllm --trust-remote-code"),
    ("matrix", "no-such-matrix"),
    ("matrix", "../../etc/passwd"),
    ("cells", ["vllm/no-such-cell"]),
    ("cells", "vllm/tiny-llama/bf16/cpu/tp1/enforce-eager/closed-4"),
    ("launches", 0),
    ("launches", 51),
    ("launches", "5"),
    ("launches", 1.5),
    ("night", "tonight"),
    ("night", "2026-11-22-Release"),
    ("night", "2026-11-22/../x"),
    ("night", "2026-11-22-a\n"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_release_refuses_what_is_no_name_of_its_kind(
    release_dag: "DAG", name: str, value: object
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        release_dag.params.get_param(name).resolve(value)


TAKEN: list[tuple[str, Any]] = [
    ("version", "0.32.0"),
    ("version", "0.32.0rc1"),
    ("version", "0.32.0.post1"),
    ("version", "0.33.0.dev5"),
    ("version", "0.32.0+onecore"),
    ("engine", "sglang"),
    ("cells", []),
    ("cells", ["vllm/tiny-llama/bf16/cpu/tp1/enforce-eager/closed-4"]),
    ("launches", 50),
    ("night", None),
    ("night", "2026-11-22-release-vllm-0.32.0+onecore-vs-0.31.0"),
]


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_a_release_takes_what_its_form_offers(release_dag: "DAG", name: str, value: object) -> None:
    assert release_dag.params.get_param(name).resolve(value) == value


@pytest.mark.parametrize(
    "builds", [["vllm==0.32.0; id"], ["vllm"], ["vllm==$(id)"], "vllm==0.32.0", ["vllm==0.32.0\n"]]
)
def test_a_nightly_refuses_what_is_no_build(nightly_dag: "DAG", builds: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        nightly_dag.params.get_param("builds").resolve(builds)
