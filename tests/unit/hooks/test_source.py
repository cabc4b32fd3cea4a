from __future__ import annotations

import json
import sys

import pytest
from airflow.sdk.exceptions import AirflowOptionalProviderFeatureException

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.source import Endpoint, SourceHook


@pytest.fixture
def connection(monkeypatch):
    def define(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_SOURCE_TEST", json.dumps(fields))
        return SourceHook("source_test")

    return define


@pytest.mark.parametrize(("conn_type", "port"), [("mysql", 3306), ("postgres", 5432)])
def test_the_endpoint_is_that_of_the_connection(connection, conn_type, port):
    hook = connection(conn_type=conn_type, host="db", login="ann", password="hunter22", schema="shop")
    assert hook.endpoint() == Endpoint(conn_type, "db", port, "ann", "hunter22", "shop")
    assert "hunter22" not in repr(hook.endpoint())


def test_a_capture_connection_without_a_password_has_none(connection):
    hook = connection(conn_type="mysql", host="db", port=3307, login="ann")
    assert hook.endpoint() == Endpoint("mysql", "db", 3307, "ann", None, None)


@pytest.mark.parametrize("fields", [{"login": "ann"}, {"host": "db"}])
def test_an_endpoint_needs_host_and_login(connection, fields):
    with pytest.raises(FatalError, match="source_test needs a host and a login"):
        connection(conn_type="mysql", **fields).endpoint()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conn_type": "kafka", "host": "db"}, "has type 'kafka'; a source needs one of mysql, postgres"),
        (
            {"conn_type": "mysql", "host": "db", "extra": {"client": "mysql-connector-python"}},
            "sources are read with mysqlclient",
        ),
    ],
)
def test_another_type_or_driver_is_refused(connection, fields, message):
    with pytest.raises(FatalError, match=message):
        connection(**fields).open()


def test_a_missing_mysql_driver_names_the_system_packages(connection, monkeypatch):
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(
        AirflowOptionalProviderFeatureException,
        match="apt-get install default-libmysqlclient-dev pkg-config gcc",
    ):
        connection(conn_type="mysql", host="db", login="ann").open()
