from __future__ import annotations

import json

import pytest

from airflow_provider_chista.clickhouse.cluster import Placement
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook


def define(monkeypatch, **fields):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_TEST", json.dumps({"conn_type": "clickhouse", **fields}))
    return ChistaClickHouseHook("clickhouse_test")


@pytest.mark.parametrize("flag", ["secure", "verify"])
def test_a_textual_flag_is_refused_because_every_text_would_mean_true(monkeypatch, flag):
    with pytest.raises(FatalError, match=f"'{flag}' of connection clickhouse_test is the text 'false'"):
        define(monkeypatch, host="127.0.0.1", extra={flag: "false"}).get_client()


def test_an_authority_where_the_official_hook_does_not_look_is_refused(monkeypatch):
    with pytest.raises(
        FatalError, match=r"'ca_cert' of connection clickhouse_test would be ignored; .*'client_kwargs'"
    ):
        define(monkeypatch, host="127.0.0.1", extra={"secure": True, "ca_cert": "/etc/ca.pem"}).get_client()


def test_a_server_that_is_down_is_transient(monkeypatch):
    hook = define(monkeypatch, host="127.0.0.1", port=1, extra={"connect_timeout": 1})
    with pytest.raises(TransientError, match=r"connecting to 127\.0\.0\.1"):
        hook.get_client()


@pytest.mark.parametrize(
    ("extra", "placement"),
    [
        ({}, Placement()),
        ({"chista_cluster": "c1", "chista_replicated": True}, Placement("c1", True)),
        ({"chista_cluster": None, "chista_replicated": False}, Placement()),
    ],
)
def test_the_connection_says_where_tables_are_made(monkeypatch, extra, placement):
    assert define(monkeypatch, host="127.0.0.1", extra=extra).placement == placement


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            {"chista_replicated": "true"},
            "'chista_replicated' of connection clickhouse_test is 'true'; give JSON",
        ),
        ({"chista_cluster": ["c1"]}, "'chista_cluster' of connection clickhouse_test"),
    ],
)
def test_a_placement_of_another_type_is_refused(monkeypatch, extra, message):
    with pytest.raises(FatalError, match=message):
        assert define(monkeypatch, host="127.0.0.1", extra=extra).placement
