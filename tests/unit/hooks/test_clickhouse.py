from __future__ import annotations

import json

import pytest

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
