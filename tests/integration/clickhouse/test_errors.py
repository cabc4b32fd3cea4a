"""Errors of a real server, told apart by whether a retry can help."""

from __future__ import annotations

import clickhouse_connect
import pytest

from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from tests.integration.clickhouse.conftest import Server
from tests.integration.support import services


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("SELECT * FROM archive_it_none.t", FatalError, "code 81.*create the database"),
        ("SELECT * FROM {database}.none", FatalError, "code 60.*CreateArchiveTableOperator"),
        ("SELECT nothing", FatalError, "code 47"),
        ("CREATE USER nobody", FatalError, "code 497.*docs/grants.md"),
        ("SELECT sleep(2) SETTINGS max_execution_time = 1", TransientError, "code 159"),
        (
            "SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 5000000",
            TransientError,
            "code 241",
        ),
    ],
)  # fmt: skip
def test_a_servers_error_says_what_was_done_and_what_to_do(
    server: Server, statement: str, kind: type[ChistaError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught, translated("doing this"):
        server.client.command(statement.format(database=server.database))
    assert "doing this" in str(caught.value)


def test_a_wrong_password_is_fatal_and_not_shown() -> None:
    with pytest.raises(FatalError, match="check login and password") as caught, translated("connecting"):
        services.clickhouse("chista", "wrong-secret")
    assert "wrong-secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_transient() -> None:
    with pytest.raises(TransientError, match="check that the server is up"), translated("connecting"):
        clickhouse_connect.get_client(host="127.0.0.1", port=1, connect_timeout=1)


def test_an_answer_that_takes_too_long_is_transient(server: Server) -> None:
    known = services.connection("clickhouse_default")
    hasty = clickhouse_connect.get_client(
        host=known["host"],
        port=known["port"],
        username=known["login"],
        password=known["password"],
        send_receive_timeout=1,
    )
    with pytest.raises(TransientError, match="did not answer"), translated("asking"):
        hasty.command("SELECT sleep(3)")
