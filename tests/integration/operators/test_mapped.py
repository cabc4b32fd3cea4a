"""Whole Dags, run by Airflow: mapped tasks of the topics of one connector and of the audit, and an archive from YAML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.operators.test_drain import event
from tests.integration.support import services
from tests.integration.support.engines import Connector
from tests.integration.support.tasks import context

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of an Airflow with a new, empty metadata database."""
    tmp_path = tmp_path_factory.mktemp("airflow")
    made = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=made, check=True, cwd=ROOT)
    return made


def run(environment: dict[str, str], file: Path, *words: str) -> Any:
    """What became of the run of a file's Dag and its tasks, and everything that Airflow said."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.operators.whole", str(file), *words],
        env=environment | {"AIRFLOW__CORE__DAGS_FOLDER": str(file.parent)}, cwd=ROOT, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def test_the_weekly_audit_is_a_task_for_each_table_and_fails_loudly(
    place: Place, environment: dict[str, str]
) -> None:
    """The module's ledger knows no table, so none is proven; the tasks of the other engines are passed over."""
    tables = ["public.shipments", "employees.salaries", "employees.employees"]
    became, said = run(
        environment | {"AIRFLOW__CHISTA__STATE_DATABASE": place.control.database},
        ROOT / "dags" / "audit.py", "audit", "audit_m.*",
    )  # fmt: skip
    assert became[0] == "failed"
    assert [task for task in became[1:] if task[0] == "audit_postgres"] == [
        ["audit_postgres", index, table, "failed"] for index, table in enumerate(tables)
    ]
    for table in tables:
        target = f"archive_postgres.{table.partition('.')[2]}"
        assert f"the audit of {target} found: (1) [error]" in said


@dataclass(frozen=True)
class Mapped:
    """Of a run of ``mapped.py``: its tables at the source and in the archive, what became of it, and OpenLineage's events."""

    good: str
    bad: str
    prefix: str
    tables: dict[str, str]
    became: list[Any]
    events: list[dict[str, Any]]


@pytest.fixture(scope="module")
def mapped(place: Place, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Mapped:
    prefix, good, bad = (
        f"{place.schema}.{services.token()}",
        f"{place.schema}.orders",
        f"{place.schema}.items",
    )
    tables = {bad: f"{place.database}.m_{services.token()}", good: f"{place.database}.m_{services.token()}"}
    CreateArchiveTableOperator(task_id="create", tables=tables, **place.systems).execute(context())
    services.create_topic(f"{prefix}.{bad}")
    services.create_topic(f"{prefix}.{good}", 3)
    producer = services.producer()
    for number in range(3_000):
        key = b'{"id":%d}' % number
        producer.produce(f"{prefix}.{good}", key=key, value=event(number), partition=number % 3)
        producer.poll(0)
    for _ in range(5):
        producer.produce(f"{prefix}.{bad}", key=b"?", value=b"no change event")
    assert producer.flush(30) == 0

    arguments = {"topic_prefix": prefix, "tables": tables, **place.systems}
    events = tmp_path_factory.mktemp("openlineage") / "events.jsonl"
    told = {
        "MAPPED": json.dumps(arguments),
        "AIRFLOW__OPENLINEAGE__EMISSION_POLICY": '[{"scope": {}, "controls": {"emit_dag_events": false}}]',
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(events), "append": True}
        ),
    }
    became, _ = run(environment | told, Path(__file__).with_name("mapped.py"), "mapped")
    seen = [json.loads(line) for line in events.read_text().splitlines()]
    return Mapped(good, bad, prefix, tables, became, seen)


def test_one_bad_table_does_not_hold_the_others(place: Place, mapped: Mapped) -> None:
    good, bad, tables = mapped.good, mapped.bad, mapped.tables
    assert mapped.became == [
        "failed",
        ["drain", 0, bad, "failed"],
        ["drain", 1, f"{good} [0]", "success"],
        ["drain", 2, f"{good} [1]", "success"],
        ["drain", 3, f"{good} [2]", "success"],
        ["list", -1, None, "success"],
    ]
    count = place.client.query(f"SELECT uniqExact(id), count() FROM {tables[good]}").result_rows[0]
    assert tuple(count) == (3_000, 3_000)
    drained = place.control.rows(
        f"SELECT target, partition, max(next_offset) AS n FROM {place.control.name('positions')}"
        " WHERE has({targets:Array(String)}, target) GROUP BY target, partition ORDER BY target, partition",
        {"targets": list(tables.values())},
    )
    assert {(row["target"], row["partition"]): row["n"] for row in drained} == {
        (tables[bad], 0): 0, **{(tables[good], partition): 1_000 for partition in range(3)},
    }  # fmt: skip


def test_airflow_tells_openlineage_what_each_task_has_drained(mapped: Mapped) -> None:
    ended = [
        told
        for told in mapped.events
        if told["job"]["name"] == "mapped.drain" and told["eventType"] in ("COMPLETE", "FAIL")
    ]
    assert sorted(told["eventType"] for told in ended) == ["COMPLETE"] * 3 + ["FAIL"]
    source = (f"mysql://127.0.0.1:{services.stack().ports['mysql']}", mapped.good)
    topic = (f"kafka://{services.stack().kafka_bootstrap}", f"{mapped.prefix}.{mapped.good}")
    for told in ended:
        if told["eventType"] == "FAIL":
            assert (told["inputs"], told["outputs"]) == ([], []), "nothing was drained"
            continue
        assert [(each["namespace"], each["name"]) for each in told["inputs"]] == [source, topic]
        (archive,) = told["outputs"]
        assert archive["name"] == mapped.tables[mapped.good]
        assert archive["outputFacets"]["outputStatistics"]["rowCount"] == 1_000
        (origin,) = archive["facets"]["columnLineage"]["fields"]["name"]["inputFields"]
        assert (origin["namespace"], origin["name"], origin["field"]) == (*source, "name")
    text = json.dumps(mapped.events)
    assert services.stack().secrets["CHISTA_MYSQL_VERIFY_PASSWORD"] not in text
    assert "chista_verify" not in text


ARCHIVE = """\
defaults:
  cron: null
  default_args: {{retries: 0}}
  table_defaults: {{purge: false}}
archives:
  from_yaml:
    connector: {connector}
    topic_prefix: {connector}
    source_conn_id: ${{CHISTA_YAML_ENGINE}}_verify
    purge_conn_id: ${{CHISTA_YAML_ENGINE}}_purge
    capture_conn_id: ${{CHISTA_YAML_ENGINE}}_capture
    tables:
      - source: {bad[table]}
        target: {bad[target]}
      - source: {good[table]}
        target: {good[target]}
"""
DAG_FILE = """\
from pathlib import Path
from airflow_provider_chista.config import load_dags
load_dags(Path(__file__).with_name("archives.yaml"))
"""


def test_an_archive_of_yaml_proves_a_table_although_another_one_cannot_be(
    place: Place, stopped: Connector, environment: dict[str, str], tmp_path: Path
) -> None:
    """The tables are in the archive already, so that everything before the proofs is passed over."""
    good, bad = (
        archived_pair(place, 7),
        {"table": f"{place.schema}.nowhere", "target": f"{place.database}.nowhere"},
    )
    text = ARCHIVE.format(connector=stopped.name, good=good, bad=bad)
    (tmp_path / "archives.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "archives.py").write_text(DAG_FILE, encoding="utf-8")
    became, said = run(
        environment | {"AIRFLOW__CHISTA__STATE_DATABASE": place.control.database, "CHISTA_YAML_ENGINE": "mysql"},
        tmp_path / "archives.py", "from_yaml", "(?!.*verify).*",
    )  # fmt: skip
    states = {task: state for task, _, _, state in became[1:]}
    failed = {task for task, state in states.items() if state != "success"}
    assert failed == {f"{place.schema}_nowhere.verify"}, said[-3000:]
    assert "proven equal: 7 rows of the whole table" in said
    assert [row["rows"] for row in place.control.rows(
        f"SELECT rows FROM {place.control.name('ledger')} WHERE target = {{target:String}}", {"target": good["target"]}
    )] == [7]  # fmt: skip
