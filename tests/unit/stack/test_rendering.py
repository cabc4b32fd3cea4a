from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stack.downloads import converter_path
from stack.errors import StackError
from stack.services import SERVICES
from stack.services.base import fill_in, replace_properties, setup_sql
from stack.services.kafka import broker_places, worker_places
from stack.settings import ROOT, Stack
from stack.supervisor import configuration


def changed_keys(before: str, after: str) -> set[str]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return {old.split("=")[0] for old, new in pairs if old != new}


@pytest.mark.parametrize(
    ("file", "places"),
    [("kafka/server.properties", broker_places), ("connect/connect.properties", worker_places)],
)
def test_the_native_stack_changes_only_the_places_of_the_containers_file(stack: Stack, file: str, places):
    common = (stack.config / file).read_text()
    rendered = replace_properties(common, places(stack))
    assert changed_keys(common, rendered) == set(places(stack))
    assert "kafka:9092" not in rendered


def test_a_place_that_the_containers_file_does_not_have_is_refused():
    with pytest.raises(StackError, match=r"no log\.dirs"):
        replace_properties("node.id=1\n", {"log.dirs": "/data"})


def test_a_placeholder_without_a_value_is_refused():
    with pytest.raises(StackError, match=r"no value for \$\{CHISTA_OTHER\}"):
        fill_in("IDENTIFIED BY '${CHISTA_OTHER}'", {"CHISTA_ONE": "1"})


@pytest.mark.parametrize("engine", ["mysql", "mariadb"])
def test_container_and_launcher_fill_passwords_into_the_sql_alike(engine: str, tmp_path: Path):
    secrets = {name: value + "&x$1" for name, value in Stack().secrets.items()}
    control, demo = setup_sql(Stack(), engine)
    folder = tmp_path / "chista"
    folder.mkdir()
    (folder / "1.sql").write_text(control.read_text())
    (folder / "2.sql").write_text(demo.read_text())
    script = (ROOT / "stack/compose/run-sql.sh").read_text().replace("/chista/", f"{folder}/")
    done = subprocess.run(
        ["bash", "-euc", f"docker_process_sql() {{ cat; }}\n{script}"],
        env=secrets,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == fill_in(control.read_text(), secrets) + fill_in(demo.read_text(), secrets)
    assert secrets[f"CHISTA_{engine.upper()}_PURGE_PASSWORD"] in done.stdout


def test_supervisor_knows_every_service_and_no_password(stack: Stack):
    text = configuration(stack)
    assert [name for name in SERVICES if f"[program:{name}]" not in text] == []
    assert [name for name, value in stack.secrets.items() if value in text] == []


def test_what_airflow_ends_for_itself_comes_back_and_what_was_killed_does_not(stack: Stack):
    sections = dict(part.split("]", 1) for part in configuration(stack).split("[program:")[1:])
    restarted = {name for name, settings in sections.items() if "autorestart=true" in settings}
    assert restarted == {name for name in SERVICES if name.startswith("airflow-")}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_password_is_on_the_command_line_of_a_service(name: str, stack: Stack):
    command = SERVICES[name].command(stack)
    assert [secret for secret, value in stack.secrets.items() if any(value in word for word in command)] == []


def test_the_connect_worker_is_given_the_capture_passwords_and_no_other(stack: Stack):
    given = SERVICES["connect"].environment(stack)
    assert sorted(given) == [
        f"CHISTA_{engine}_CAPTURE_PASSWORD" for engine in ("MARIADB", "MYSQL", "POSTGRES")
    ]


def test_connect_knows_the_converter_once_it_was_fetched_and_is_told_to_start_again(
    stack: Stack, capsys: pytest.CaptureFixture[str]
):
    (connect, registry), converter = (SERVICES["connect"], SERVICES["registry"]), converter_path(stack)
    connect.prepare(stack)
    assert str(converter) not in worker_places(stack)["plugin.path"]
    registry.set_up(stack)
    assert "restart connect" in capsys.readouterr().err
    converter.mkdir()
    connect.prepare(stack)
    assert worker_places(stack)["plugin.path"].endswith(f",{converter}")
    registry.set_up(stack)
    assert capsys.readouterr().err == ""
