from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stack import drift
from stack.settings import ROOT, Stack

Model = dict[str, Any]


@pytest.fixture(scope="module")
def model() -> Model:
    return drift.load(ROOT)


def test_compose_and_the_native_stack_say_the_same(model: Model):
    assert drift.differences(model, Stack()) == []


def service(model: Model, name: str) -> Model:
    return model["services"][name]


def another_image(model: Model) -> None:
    service(model, "kafka")["image"] = "apache/kafka:4.2.0"


def another_build_argument(model: Model) -> None:
    service(model, "airflow-api")["build"]["args"]["AIRFLOW_VERSION"] = "3.3.0"


def another_port(model: Model) -> None:
    service(model, "mysql")["ports"] = ["127.0.0.1:3306:3306"]


def a_port_for_everyone(model: Model) -> None:
    service(model, "clickhouse")["ports"][0] = "20023:8123"


def one_port_more(model: Model) -> None:
    service(model, "kafka")["ports"].append("127.0.0.1:20099:9093")


def a_service_less(model: Model) -> None:
    del model["services"]["airflow-triggerer"]


def no_health_check(model: Model) -> None:
    del service(model, "postgres")["healthcheck"]


def a_file_of_its_own(model: Model) -> None:
    mounts = service(model, "mariadb")["volumes"]
    mounts[1] = mounts[1].replace("stack/config/mariadb", "stack/config/mysql")


def another_heap(model: Model) -> None:
    service(model, "connect")["environment"]["KAFKA_HEAP_OPTS"] = "-Xmx2g"


def a_secret_more(model: Model) -> None:
    service(model, "connect")["environment"]["CHISTA_MYSQL_PURGE_PASSWORD"] = "known-to-the-worker"


def another_maven_version(model: Model) -> None:
    command = service(model, "connect-plugins")["command"]
    command[-1] = command[-1].replace("-Ddebezium.version=3.5", "-Ddebezium.version=3.4")


def another_converter(model: Model) -> None:
    command = service(model, "connect-converter")["command"]
    command[-1] = command[-1].replace("-Dapicurio.version=2.6.", "-Dapicurio.version=2.5.")


def another_list(model: Model) -> None:
    command = service(model, "connect-converter")["command"]
    command[-1] = command[-1].replace(" chista.KeepNulls ", " chista.Other ")


def a_registry_for_everyone(model: Model) -> None:
    del service(model, "registry")["profiles"]


def a_setting_less(model: Model) -> None:
    del service(model, "clickhouse")["environment"]["CHISTA_CLICKHOUSE_TMP_PATH"]


def another_key(model: Model) -> None:
    service(model, "airflow-scheduler")["environment"]["AIRFLOW__CORE__FERNET_KEY"] = "another"


def another_login(model: Model) -> None:
    environment = service(model, "airflow-scheduler")["environment"]
    environment["AIRFLOW_CONN_MYSQL_PURGE"] = environment["AIRFLOW_CONN_MYSQL_PURGE"].replace(
        "chista_purge", "root"
    )


def another_host(model: Model) -> None:
    environment = service(model, "airflow-scheduler")["environment"]
    environment["AIRFLOW_CONN_MYSQL_PURGE"] = environment["AIRFLOW_CONN_MYSQL_PURGE"].replace(
        '"mysql", "port"', '"mariadb", "port"'
    )


def a_dependency_on_nothing(model: Model) -> None:
    service(model, "connect")["depends_on"]["zookeeper"] = {"condition": "service_healthy"}


def a_volume_of_nowhere(model: Model) -> None:
    del model["volumes"]["mysql"]


def a_connection_less(model: Model) -> None:
    del service(model, "airflow-scheduler")["environment"]["AIRFLOW_CONN_KAFKA_CONNECT_DEFAULT"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (another_image, "image of kafka"),
        (another_build_argument, "build arguments of airflow-api"),
        (another_port, "published port of mysql"),
        (a_port_for_everyone, "published port of clickhouse"),
        (one_port_more, "published port of kafka"),
        (a_service_less, "services"),
        (no_health_check, "postgres: has no health check"),
        (a_file_of_its_own, "mariadb: does not mount stack/config/mariadb/my.cnf"),
        (another_heap, "heap of connect"),
        (a_secret_more, "secrets of connect"),
        (another_maven_version, "Maven properties of connect-plugins"),
        (another_converter, "Maven properties of connect-converter"),
        (another_list, "connect-converter: does not list chista.KeepNulls"),
        (a_registry_for_everyone, "services of the profile avro"),
        (a_setting_less, "settings of clickhouse"),
        (another_key, "AIRFLOW__CORE__FERNET_KEY of airflow-scheduler"),
        (another_login, "AIRFLOW_CONN_MYSQL_PURGE of airflow-scheduler"),
        (another_host, "mariadb:3306 is not where its service listens"),
        (a_dependency_on_nothing, "connect: depends on zookeeper, which is no service"),
        (a_volume_of_nowhere, "mysql: volume mysql is not declared"),
        (a_connection_less, "connections of airflow-scheduler"),
    ],
)
def test_what_drifts_apart_is_named(model: Model, damage: Callable[[Model], None], named: str):
    damaged = copy.deepcopy(model)
    damage(damaged)
    found = drift.differences(damaged, Stack())
    assert [difference for difference in found if named in difference] != []


def test_a_native_stack_of_other_ports_differs():
    found = drift.differences(drift.load(ROOT), replace(Stack(), base_port=21000))
    assert any("published port of kafka" in difference for difference in found)


def test_a_variable_that_no_env_file_has_is_an_error():
    with pytest.raises(KeyError, match="NO_SUCH_VERSION"):
        drift._interpolate("image: x:${NO_SUCH_VERSION}\n", {})
    assert (
        drift._interpolate("a: $${HOME} ${A}\n# $(comment)\n", {"A": "1"}) == "a: ${HOME} 1\n# $(comment)\n"
    )
