from __future__ import annotations

import json

import pytest

from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook


def define(monkeypatch, **fields):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_TEST", json.dumps({"conn_type": "clickhouse", **fields}))
    return ChistaClickHouseHook("clickhouse_test")


def test_a_textual_secure_flag_is_refused_because_every_text_would_mean_true(monkeypatch):
    with pytest.raises(FatalError, match="'secure' of connection clickhouse_test is the text 'false'"):
        define(monkeypatch, host="127.0.0.1", extra={"secure": "false"}).get_client()


def test_a_server_that_is_down_is_transient(monkeypatch):
    hook = define(monkeypatch, host="127.0.0.1", port=1, extra={"connect_timeout": 1})
    with pytest.raises(TransientError, match=r"connecting to 127\.0\.0\.1"):
        hook.get_client()
