from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from stack.connections import client_environment, connections, shell_exports
from stack.ports import OFFSETS, port_table
from stack.services.airflow import places
from stack.settings import ROOT, Stack, read_env_file


def test_defaults_are_the_demo_stack_of_this_repository():
    stack = Stack.from_environment({})
    assert (stack.base_port, stack.data, stack.cache) == (20000, ROOT / ".stack" / "demo", ROOT / ".cache")


def test_environment_chooses_another_stack(tmp_path: Path):
    stack = Stack.from_environment({"CHISTA_BASE_PORT": "31000", "CHISTA_DATA": str(tmp_path)})
    assert stack.data == tmp_path
    assert stack.kafka_bootstrap == "127.0.0.1:31092"
    assert stack.connect_url == "http://127.0.0.1:31083"


@pytest.mark.parametrize("text", ["", "20000"])
def test_an_empty_base_port_is_the_default(text: str):
    assert Stack.from_environment({"CHISTA_BASE_PORT": text}).base_port == 20000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("32700", "those of outgoing connections"),
        ("http", "must be a port number, found 'http'"),
        ("65500", r"outside 1024\.\.32767"),
        ("80", "CHISTA_BASE_PORT between 1024 and 32674"),
    ],
)
def test_a_base_port_that_leaves_no_room_is_refused(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        Stack.from_environment({"CHISTA_BASE_PORT": text})


def test_stacks_a_hundred_ports_apart_share_none():
    assert len(set(OFFSETS.values())) == len(OFFSETS)
    assert max(OFFSETS.values()) - min(OFFSETS.values()) < 100
    assert not set(port_table(20000).values()) & set(port_table(20100).values())


def test_passwords_of_the_environment_win_over_the_demo_ones():
    stack = Stack.from_environment({"CHISTA_MYSQL_VERIFY_PASSWORD": "from-the-environment"})
    assert stack.secrets["CHISTA_MYSQL_VERIFY_PASSWORD"] == "from-the-environment"
    assert connections(stack)["mysql_verify"]["password"] == "from-the-environment"


def test_demo_passwords_are_long_enough_for_airflow_to_mask_them():
    assert all(len(value) > 8 for value in Stack().secrets.values())


def test_a_deep_data_folder_keeps_its_sockets_within_the_limit_of_108_bytes(tmp_path: Path):
    deep = Stack(data=tmp_path / ("d" * 90))
    other = Stack(data=tmp_path / ("e" * 90))
    assert len(os.fsencode(deep.run / "postgres" / ".s.PGSQL.65535.lock")) < 108
    assert deep.run != other.run
    assert Stack(data=Path("/srv/stack")).run == Path("/srv/stack/run")


def test_env_files_are_read_literally_and_a_broken_line_is_named(tmp_path: Path):
    file = tmp_path / "x.env"
    file.write_text("# comment\n\nA=1\nB=x=y#z\n")
    assert read_env_file(file) == {"A": "1", "B": "x=y#z"}
    file.write_text("A=1\nnot a setting\n")
    with pytest.raises(ValueError, match=r"x\.env:2: expected NAME=value, found 'not a setting'"):
        read_env_file(file)


@pytest.mark.parametrize("file", ["versions.env", "secrets.env", "config/airflow/airflow.env"])
def test_env_files_mean_the_same_to_a_shell_and_to_the_launcher(file: str):
    path = ROOT / "stack" / file
    script = f"set -a; . {path}; exec python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    seen = json.loads(
        subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    )
    assert {name: seen[name] for name in read_env_file(path)} == read_env_file(path)


def test_capture_connections_carry_no_password():
    table = connections(Stack())
    assert [name for name in table if name.endswith("_capture") and "password" in table[name]] == []
    assert all(
        table[name]["login"] == name.replace(name.split("_")[0], "chista")
        for name in table
        if "_verify" in name
    )


def test_postgres_connections_name_the_database():
    table = connections(Stack())
    assert {table[f"postgres_{role}"]["schema"] for role in ("capture", "verify", "purge", "restore")} == {
        "shipment_db"
    }
    assert "schema" not in table["mysql_verify"]


def test_the_printed_environment_reaches_a_shell_unchanged():
    stack = Stack(base_port=31000)
    script = shell_exports(stack) + "exec python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    seen = json.loads(
        subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    )
    wanted = client_environment(stack)
    assert {name: seen[name] for name in wanted} == wanted
    assert json.loads(seen["AIRFLOW_CONN_KAFKA_DEFAULT"])["extra"] == {"bootstrap.servers": "127.0.0.1:31092"}


def test_openlineage_is_told_of_the_chosen_dags_and_no_others():
    assert [name for name in places(Stack()) if "OPENLINEAGE" in name] == []
    given = places(Stack(overrides={"CHISTA_LINEAGE": "one,two"}))
    rules = json.loads(given["AIRFLOW__OPENLINEAGE__EMISSION_POLICY"])
    assert {rule["scope"].get("dag_id"): rule["controls"]["emit"] for rule in rules} == {
        None: False, "one": True, "two": True,
    }  # fmt: skip
    assert json.loads(given["AIRFLOW__OPENLINEAGE__TRANSPORT"])["type"] == "file"


def test_the_executor_is_one_of_two():
    assert Stack.from_environment({"CHISTA_EXECUTOR": ""}).executor == "local"
    celery = Stack.from_environment({"CHISTA_EXECUTOR": "celery", "CHISTA_BASE_PORT": "31000"})
    assert "AIRFLOW__CORE__EXECUTOR" not in places(Stack())
    given = places(celery)
    assert given["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert given["AIRFLOW__CELERY__BROKER_URL"] == "redis://:demo-redis-celery@127.0.0.1:31079/0"
    assert (
        given["AIRFLOW__CELERY__RESULT_BACKEND"].partition("//")[2]
        in given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    )
    with pytest.raises(ValueError, match="must be local or celery, found 'kubernetes'"):
        Stack.from_environment({"CHISTA_EXECUTOR": "kubernetes"})
