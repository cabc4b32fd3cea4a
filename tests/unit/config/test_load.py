"""Files of archives as Airflow's Dag processor meets them: many tables, no connection, Dags that register themselves."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseNotifier

from airflow_provider_chista.config import load_dags
from airflow_provider_chista.config.__main__ import main
from tests.unit.config.conftest import GOOD

DAG_FILE = """\
from pathlib import Path

from airflow_provider_chista.config import load_dags

load_dags(Path(__file__).with_name("archives.yaml"))
"""
TABLE = """\
      - source: shop.t{0}
        target: archive.t{0}
        time_column: day
"""


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sockets that cannot be made, and those that were wanted."""
    wanted: list[Any] = []

    class Refused(socket.socket):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            wanted.append(arguments)
            raise OSError("no sockets here")

    monkeypatch.setattr(socket, "socket", Refused)
    monkeypatch.setattr(socket, "getaddrinfo", Refused)
    return wanted


def bag_of(folder: Path, text: str) -> DagBag:
    (folder / "archives.yaml").write_text(text, encoding="utf-8")
    (folder / "archives.py").write_text(DAG_FILE, encoding="utf-8")
    return DagBag(dag_folder=folder, bundle_path=folder, bundle_name="archives")


def test_a_hundred_tables_are_one_connector_and_a_group_each_and_open_no_connection(
    tmp_path: Path, unreachable: list[Any]
) -> None:
    bag = bag_of(tmp_path, GOOD + "".join(TABLE.format(number) for number in range(99)))
    assert (bag.import_errors, unreachable) == ({}, [])
    dag = bag.dags["orders"]
    kinds = Counter(task.task_type for task in dag.tasks)
    assert kinds["RegisterConnectorOperator"] == kinds["PreflightOperator"] == 1
    assert kinds["VerifyArchiveOperator"] == kinds["PurgeSourceOperator"] == 100
    assert len(dag.task_dict["register_connector"].tables) == 100


def test_no_table_waits_for_another(tmp_path: Path) -> None:
    dag = bag_of(tmp_path, GOOD + "".join(TABLE.format(number) for number in range(9))).dags["orders"]
    groups = {group for group in dag.task_group.children if group.startswith("shop_")}
    assert len(groups) == 10
    for task in dag.tasks:
        group = task.task_id.partition(".")[0]
        above = {name.partition(".")[0] for name in task.upstream_task_ids}
        assert group not in groups or above <= {group, "source_captured"}
    assert {task.trigger_rule for task in dag.tasks} == {"all_success"}


def test_a_wrong_file_is_an_import_error_with_every_place(tmp_path: Path) -> None:
    bag = bag_of(tmp_path, GOOD.replace("90 days", "long").replace("time_column", "time_colum"))
    assert bag.dags == {}
    (message,) = bag.import_errors.values()
    assert "archives.yaml:8:16: retention is 'long'; write numbers with units" in message
    assert "archives.yaml:12:9: time_colum is not known here; did you mean time_column?" in message


def test_a_table_more_is_three_lines(tmp_path: Path) -> None:
    assert len(TABLE.splitlines()) == 3
    one, two = (bag_of(tmp_path, text).dags["orders"] for text in (GOOD, GOOD + TABLE.format(1)))
    added = set(two.task_ids) - set(one.task_ids)
    assert added == {f"shop_t1.{name.partition('.')[2]}" for name in one.task_ids if "." in name}


def test_notifiers_are_airflows_and_keep_their_templates(tmp_path: Path) -> None:
    more = """notifications:
      approval: [{classpath: tests.unit.config.notifiers.Recorder, kwargs: {text: "{{ dag.dag_id }}"}}]
      failure: [{classpath: tests.unit.config.notifiers.Recorder}]"""
    dag = bag_of(tmp_path, GOOD.replace("retention: 90 days", more)).dags["orders"]
    (approval,) = dag.task_dict["shop_orders.approve"].notifiers
    (failure,) = dag.on_failure_callback
    assert isinstance(approval, BaseNotifier)
    assert isinstance(failure, BaseNotifier)
    approval.render_template_fields({"dag": dag})
    assert (approval.text, dag.on_success_callback) == ("orders", None)


def test_the_command_tells_what_is_wrong_and_which_dags_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, wrong = tmp_path / "good.yaml", tmp_path / "wrong.yaml"
    good.write_text(GOOD, encoding="utf-8")
    wrong.write_text(GOOD.replace("time_column", "time_colum"), encoding="utf-8")
    for file, code in ((good, 0), (wrong, 1)):
        monkeypatch.setattr(sys, "argv", ["config", str(file)])
        assert main() == code
    said = capsys.readouterr().out
    assert f"{good}: orders\n" in said
    assert f"{wrong}:12:9: time_colum is not known here; did you mean time_column?\n" in said


def test_the_dags_come_back_by_their_ids(tmp_path: Path) -> None:
    (tmp_path / "archives.yaml").write_text(GOOD, encoding="utf-8")
    assert {name: dag.dag_id for name, dag in load_dags(str(tmp_path / "archives.yaml")).items()} == {
        "orders": "orders"
    }
