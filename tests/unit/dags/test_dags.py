"""The Dags of ``dags/``: they parse without any service, and are what their documentation says."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Asset
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_chista.timetables.retention import RetentionTimetable
from tests.unit.dags.outlets import outlets

FOLDER = Path(__file__).parents[3] / "dags"

BEFORE_TABLES = [
    "preflight", "register_connector", "connector_running", "create_tables", "snapshot_completed", "source_captured",
]  # fmt: skip
PROVE = ["drain", "drained", "verify"]
DELETE = ["approve", "purge", "purge_captured", "drain_deletes", "seal"]

ARCHIVES = {
    # dag: tables that are purged, tables that are only proven
    "archive_mysql": (["test.chista", "employees.salaries"], ["employees.employees"]),
    "archive_mariadb": (["test.chista", "employees.salaries"], ["employees.employees"]),
    "archive_postgres": (["public.shipments", "employees.salaries"], ["employees.employees"]),
}
FROM_YAML = {
    "yaml_mysql": (["employees.titles", "employees.dept_emp"], []),
    "yaml_postgres": (["employees.titles"], ["employees.departments"]),
}
"""Those of ``archives.yaml``."""
EXAMPLES = {"archive_only": ([], ["employees.dept_emp"]), "purge_approved": (["employees.dept_manager"], [])}
EVERY = ARCHIVES | FROM_YAML | EXAMPLES
OTHERS = [
    "audit", "backfill_salaries", "drain_mapped", "report", "restore_rows", "stream_live", "yaml_mysql_audit",
    "yaml_mysql_restore",
]  # fmt: skip
EVERY_ARCHIVE = pytest.mark.parametrize("dag_id", EVERY)


@pytest.fixture(scope="module")
def bag() -> Iterator[DagBag]:
    """All files parsed, on a machine where no connection can be opened to anything."""

    def refused(*arguments: Any) -> None:
        raise AssertionError(f"a Dag file opened a connection to {arguments[1:]}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refused)
        patch.setattr(socket.socket, "connect_ex", refused)
        yield DagBag(dag_folder=FOLDER, bundle_path=FOLDER, bundle_name="dags-folder")


def edges(dag: DAG) -> set[tuple[str, str]]:
    return {(task.task_id, child) for task in dag.tasks for child in task.downstream_task_ids}


def chain(*tasks: str) -> set[tuple[str, str]]:
    return set(pairwise(tasks))


def test_every_file_parses_without_services_and_none_is_forgotten(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert {Path(dag.fileloc).name for dag in bag.dags.values()} == {
        file.name for file in FOLDER.glob("*.py")
    }
    assert set(bag.dags) == {*EVERY, *OTHERS}


@pytest.mark.parametrize("dag_id", [*EVERY, *OTHERS])
def test_every_dag_is_documented_tagged_and_serialised(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert dag.doc_md
    assert "chista" in dag.tags
    assert dag.catchup is False
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert set(again.task_dict) == set(dag.task_dict)


@EVERY_ARCHIVE
def test_an_archive_is_gated_stage_by_stage_and_tables_are_independent(bag: DagBag, dag_id: str) -> None:
    purged, proven = EVERY[dag_id]
    expected = chain(*BEFORE_TABLES)
    for table in (*purged, *proven):
        group = table.replace(".", "_")
        stages = [*PROVE, *(DELETE if table in purged else [])]
        expected |= chain("source_captured", *(f"{group}.{stage}" for stage in stages))
    # Two data edges: the end offsets of a barrier go to the sensor behind the drain as well.
    data = {("source_captured", f"{t.replace('.', '_')}.drained") for t in (*purged, *proven)}
    assert edges(bag.dags[dag_id]) - data == expected


def test_windows_in_place_of_a_snapshot_are_read_table_by_table(bag: DagBag) -> None:
    before, group = [each for each in BEFORE_TABLES if each != "snapshot_completed"], "employees_salaries"
    stages = [*before[:-1], *(f"{group}.{each}" for each in ("snapshot_window", "source_captured", *PROVE))]
    dag = bag.dags["backfill_salaries"]
    assert edges(dag) - {(f"{group}.source_captured", f"{group}.drained")} == chain(*stages)
    assert dag.task_dict["register_connector"].overrides == {"snapshot.mode": "no_data"}


@EVERY_ARCHIVE
def test_only_the_direct_child_of_the_approval_deletes(bag: DagBag, dag_id: str) -> None:
    """Airflow skips the children of a rejected approval; everything behind has the trigger rule all_success."""
    dag = bag.dags[dag_id]
    for task in dag.tasks:
        if task.task_type == "PurgeSourceOperator":
            (parent,) = task.upstream_task_ids
            assert dag.task_dict[parent].task_type == "ApprovePurgeOperator"
            assert dag.task_dict[parent].ignore_downstream_trigger_rules
            assert dag.task_dict[parent].defaults == ["Reject"]
            assert task.require_approval
    assert {task.trigger_rule for task in dag.tasks} == {"all_success"}


@EVERY_ARCHIVE
def test_parents_of_cascading_keys_are_never_purged(bag: DagBag, dag_id: str) -> None:
    assert not {task for task in bag.dags[dag_id].task_dict if task.startswith("employees_employees.purge")}


@EVERY_ARCHIVE
def test_schedule_and_form(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert isinstance(dag.timetable, RetentionTimetable)
    assert dag.timetable.retention == timedelta(days=365)
    shown = {name: dag.params.get_param(name) for name in dag.params}
    assert {name: param.value for name, param in shown.items()} == {
        "window_start": None, "window_end": None, "dry_run": False, "purge": True, "reason": None,
    }  # fmt: skip
    for name in ("window_start", "window_end"):
        assert shown[name].schema == {
            "type": ["null", "string"], "format": "date",
            "title": shown[name].schema["title"],
        }  # fmt: skip
        assert "UTC" in shown[name].description
    for name in ("dry_run", "purge"):
        assert shown[name].schema["type"] == "boolean"


@EVERY_ARCHIVE
def test_retries_outlast_a_service_that_is_started_again(bag: DagBag, dag_id: str) -> None:
    for task in bag.dags[dag_id].tasks:
        assert task.retries * task.retry_delay >= timedelta(seconds=60), task.task_id


@EVERY_ARCHIVE
def test_only_stages_that_delete_know_the_purge_user(bag: DagBag, dag_id: str) -> None:
    known = {
        task.task_type for task in bag.dags[dag_id].tasks if getattr(task, "purge_conn_id", None) is not None
    }
    purged, _ = EVERY[dag_id]
    assert known == ({"PreflightOperator", "PurgeSourceOperator", "SealArchiveOperator"} if purged else set())


def test_the_password_of_the_capture_user_is_a_reference_in_every_archive(bag: DagBag) -> None:
    for dag_id in EVERY:
        register = bag.dags[dag_id].task_dict["register_connector"]
        assert register.password.startswith("${env:CHISTA_")
        assert register.password.endswith("_CAPTURE_PASSWORD}")


def test_the_live_copies_run_one_after_another_with_the_mirror_policy(bag: DagBag) -> None:
    dag = bag.dags["stream_live"]
    assert dag.max_active_runs == 1
    assert type(dag.timetable).__name__ == "ContinuousTimetable"
    followers = [task for task in dag.tasks if task.task_type == "DrainTopicOperator"]
    assert [task.delete_policy for task in followers] == ["mirror"] * 3
    assert all(task.target.startswith("live_") for task in followers)
    for group in ("live_mysql_chista", "live_mariadb_chista", "live_postgres_shipments"):
        assert chain(*(f"{group}.{t}" for t in ("connector_running", "create_table", "follow"))) <= edges(dag)


def test_a_restore_is_started_by_hand_and_the_archive_is_drained_on_both_sides_of_it(bag: DagBag) -> None:
    dag = bag.dags["restore_rows"]
    assert type(dag.timetable).__name__ == "NullTimetable"
    assert edges(dag) == chain("source_captured", "drain", "restore", "restore_captured", "drain_inserts")
    assert dag.task_dict["restore"].restore_conn_id == "mysql_restore"
    params = {name: dag.params.get_param(name).value for name in dag.params}
    assert params == {
        "batch_id": None, "row_keys": None, "window_start": None, "window_end": None, "conflicts": "refuse", "dry_run": False,
        "reason": None,
    }  # fmt: skip


def test_an_archive_of_yaml_has_its_restores_and_audits(bag: DagBag) -> None:
    restore, archive = bag.dags["yaml_mysql_restore"], bag.dags["yaml_mysql"].task_dict
    assert type(restore.timetable).__name__ == "NullTimetable"
    assert edges(restore) == chain("source_captured", "drain", "restore", "restore_captured", "drain_inserts")
    assert restore.params.get_param("table").schema["enum"] == ["employees.titles", "employees.dept_emp"]
    assert restore.task_dict["restore"].restore_conn_id == "mysql_restore"
    for name in ("connector", "topic_prefix"):
        wanted = getattr(archive["register_connector"], name)
        assert getattr(restore.task_dict["source_captured"], name) == wanted
    audited = bag.dags["yaml_mysql_audit"].task_dict["audit"]
    assert audited.expand_input.value == {
        "tables": [
            {"employees.titles": "archive_mysql.yaml_titles"}, {"employees.dept_emp": "archive_mysql.yaml_dept_emp"},
        ]
    }  # fmt: skip


@pytest.mark.parametrize("dag_id", [*EVERY, *OTHERS])
def test_a_field_of_the_form_that_is_empty_may_stay_so(bag: DagBag, dag_id: str) -> None:
    """Airflow's form does not let anybody send an empty text or list where null is no value."""
    params = bag.dags[dag_id].params
    empty = [name for name in params if params.get_param(name).value in (None, "", [])]
    assert [name for name in empty if "null" not in params.get_param(name).schema["type"]] == []


def test_no_two_archives_share_a_connector_topics_or_a_target(bag: DagBag) -> None:
    made = [bag.dags[dag_id].task_dict for dag_id in EVERY]
    for names in (
        [tasks["register_connector"].connector for tasks in made],
        [tasks["register_connector"].topic_prefix for tasks in made],
        [target for tasks in made for target in tasks["create_tables"].tables.values()],
    ):
        assert len(set(names)) == len(names)


def test_the_archives_of_yaml_are_paused_until_somebody_wants_them(bag: DagBag) -> None:
    assert {bag.dags[dag_id].is_paused_upon_creation for dag_id in FROM_YAML} == {True}


def test_every_table_of_the_archives_is_audited_once_a_week(bag: DagBag) -> None:
    dag = bag.dags["audit"]
    assert dag.schedule == "@weekly"
    audited = {}
    for task in dag.tasks:
        known = task.partial_kwargs
        assert task.is_mapped
        place = (known["source_conn_id"], known["connector"], known["topic_prefix"])
        audited[task.task_id] = (
            place,
            [next(iter(each.items())) for each in task.expand_input.value["tables"]],
        )
    expected = {}
    for dag_id in ARCHIVES:
        archive = bag.dags[dag_id]
        made = archive.task_dict["create_tables"]
        captured = archive.task_dict["source_captured"]
        place = (made.source_conn_id, captured.connector, captured.topic_prefix)
        expected[dag_id.replace("archive", "audit")] = (place, list(made.tables.items()))
    assert audited == expected


def test_tables_that_are_drained_side_by_side_do_not_hold_one_another(bag: DagBag) -> None:
    dag = bag.dags["drain_mapped"]
    assert chain("connector_running", "source_captured", "create_table", "list_partitions", "drain") <= edges(
        dag
    )
    mapped = {task.task_id for task in dag.tasks if task.is_mapped}
    assert mapped == {"create_table", "drain"}
    # The list is made although a table could not be made, and not without a barrier; a drain follows the list alone.
    rules = {task.task_id: task.trigger_rule for task in dag.tasks}
    assert rules.pop("list_partitions") == "all_done_min_one_success"
    assert set(rules.values()) == {"all_success"}
    assert dag.task_dict["drain"].upstream_task_ids == {"source_captured", "list_partitions"}
    assert dag.task_dict["list_partitions"].upstream_task_ids == {"source_captured", "create_table"}


@EVERY_ARCHIVE
def test_proofs_purges_and_seals_have_the_assets_of_their_tables(bag: DagBag, dag_id: str) -> None:
    purged, proven = EVERY[dag_id]
    targets = bag.dags[dag_id].task_dict["create_tables"].tables
    expected = {}
    for table in (*purged, *proven):
        group = table.replace(".", "_")
        uri = f"clickhouse://clickhouse_default/{targets[table].replace('.', '/')}"
        expected[f"{group}.verify"] = [uri]
        if table in purged:
            expected |= {f"{group}.{s}": [f"{uri}?event={s}{e}"] for s, e in (("purge", "d"), ("seal", "ed"))}
    assert outlets(bag.dags[dag_id]) == expected


def test_the_report_runs_when_a_window_of_shipments_was_proven(bag: DagBag) -> None:
    dag = bag.dags["report"]
    (asset,) = outlets(bag.dags["archive_postgres"])["public_shipments.verify"]
    assert dag.schedule == Asset(asset)
    assert dag.task_ids == ["count_rows"]
