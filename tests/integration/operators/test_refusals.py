"""Bad input at the operators: the last log line names the cause and the remedy, and nothing was changed or deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_chista.debezium.protocol import Policy
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator, SealArchiveOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from tests.integration.operators.conftest import Place
from tests.integration.sources.conftest import ThrowAway
from tests.integration.support import services
from tests.integration.support.engines import ENGINES
from tests.integration.support.ports import free_port
from tests.integration.support.tasks import context

Give = Callable[..., str]
WINDOW = ("2024-01-01", "2024-01-02")


def preflight(place: Place, tables: dict[str, str] | None = None, **more: Any) -> PreflightOperator:
    names = tables or {place.orders["table"]: place.orders["target"]}
    return PreflightOperator(task_id="preflight", tables=names, **{**place.systems, **more})


def message(run: Callable[[], Any], error: type[Exception] = AirflowFailException) -> str:
    with pytest.raises(error) as raised:
        run()
    return str(raised.value)


@pytest.fixture(autouse=True)
def untouched(place: Place) -> Any:
    """Whatever a test makes go wrong: the source has its rows afterwards, and no purge was begun."""
    before = place.engine.query(f"SELECT * FROM {place.schema}.orders ORDER BY id")
    yield
    assert place.engine.query(f"SELECT * FROM {place.schema}.orders ORDER BY id") == before
    assert (
        place.control.rows(f"SELECT 1 AS n FROM {place.control.name('ledger')} WHERE stage = 'intent'", {})
        == []
    )


def test_a_sound_table_passes_and_the_report_is_the_value(place: Place) -> None:
    task = preflight(place, {f"{place.schema}.items": f"{place.database}.items"}, purge_conn_id="mysql_purge")
    assert task.execute(context()) == {
        "error": 0, "purge": 0, "warning": 0, "info": 0, "purge_refused": [],
    }  # fmt: skip


def test_a_source_that_cannot_be_reached_is_left_to_the_retries(place: Place, given: Give) -> None:
    port = free_port()
    said = message(
        lambda: preflight(place, source_conn_id=given("away", "mysql_verify", port=port)).execute(context()),
        TransientError,
    )
    assert f"127.0.0.1:{port}" in said
    assert "away" in said


def test_a_wrong_password_fails_at_once_and_is_not_repeated(place: Place, given: Give) -> None:
    wrong = given("wrong", "mysql_verify", password="not-the-password-1")
    said = message(lambda: preflight(place, source_conn_id=wrong).execute(context()))
    assert "chista_verify" in said
    assert "wrong" in said
    assert "not-the-password-1" not in said


def test_every_fault_is_in_one_report(place: Place, given: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = partial(Policy, patience=0, startup=0)
    monkeypatch.setattr("airflow_provider_chista.hooks.kafka_connect.Policy", impatient)
    tables = {
        f"{place.schema}.keyless": f"{place.database}.keyless",
        f"{place.schema}.places": f"{place.database}.places",
        f"{place.schema}.nowhere": f"{place.database}.nowhere",
    }
    task = preflight(
        place,
        tables,
        time_columns={f"{place.schema}.places": "tomorrow"},
        kafka_connect_conn_id=given(
            "no_connect", "kafka_connect_default", port=free_port(), extra={"timeout": 1}
        ),
    )
    said = message(lambda: task.execute(context(WINDOW)))
    for part in (
        f"{place.schema}.keyless", "primary key", "places.id", "double", f"{place.schema}.nowhere", "orders", "tomorrow",
        "Kafka Connect",
    ):  # fmt: skip
        assert part in said, part


def test_rights_that_the_roles_lack_are_named_with_the_statement_that_gives_them(place: Place) -> None:
    task = preflight(place, source_conn_id="mysql_purge", purge_conn_id="mysql_verify")
    said = message(lambda: task.execute(context()))
    assert "GRANT" in said
    assert "DELETE" in said
    assert "chista_purge" in said
    assert "chista_verify" in said


def test_settings_that_cannot_carry_a_whole_row_are_named_together(
    place: Place, given: Give, throw_away: ThrowAway
) -> None:
    server = throw_away.start("mysql", "--binlog-format=STATEMENT", "--binlog-row-image=MINIMAL")
    server.execute("CREATE DATABASE s", "CREATE TABLE s.t (id INT PRIMARY KEY)")
    bad = given("bad", "mysql_verify", port=server.port, login="root", password="")
    said = message(
        lambda: preflight(place, {"s.t": f"{place.database}.t"}, source_conn_id=bad).execute(context())
    )
    for part in (
        "STATEMENT",
        "SET PERSIST binlog_format = 'ROW'",
        "MINIMAL",
        "SET PERSIST binlog_row_image = 'FULL'",
    ):
        assert part in said, part


def test_a_connector_whose_password_is_wrong_is_refused_before_it_is_stored(
    place: Place, given: Give
) -> None:
    task = RegisterConnectorOperator(
        task_id="register", connector=place.schema, topic_prefix=place.schema, tables=[place.orders["table"]],
        capture_conn_id=given("wrong", "mysql_capture", password="not-the-password-2"), **place.systems,
    )  # fmt: skip
    said = message(lambda: task.execute(context()))
    assert f"refused the configuration of {place.schema}, nothing was stored" in said
    assert "not-the-password-2" not in said


def test_an_override_that_breaks_a_promise_is_refused_with_the_reason(place: Place) -> None:
    task = RegisterConnectorOperator(
        task_id="register", connector=place.schema, topic_prefix=place.schema, tables=[place.orders["table"]],
        capture_conn_id="mysql_capture", password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}",
        overrides={"decimal.handling.mode": "double"}, **place.systems,
    )  # fmt: skip
    assert "decimal.handling.mode" in message(lambda: task.execute(context()))


def test_a_topic_that_does_not_exist_is_named(place: Place) -> None:
    CreateArchiveTableOperator(
        task_id="create", tables={place.orders["table"]: place.orders["target"]}, **place.systems
    ).execute(context())
    task = DrainTopicOperator(task_id="drain", topic_prefix="no_such", **place.orders, **place.systems)
    said = message(lambda: task.execute(context()))
    assert f"no_such.{place.orders['table']}" in said


def test_an_archive_table_that_does_not_fit_is_refused_with_the_differences(place: Place) -> None:
    target = f"{place.database}.mine"
    place.client.command(
        f"CREATE TABLE {target} (id Int8, name String, day String) ENGINE = MergeTree ORDER BY day"
    )
    place.client.command(f"INSERT INTO {target} VALUES (1, 'mine', 'x')")
    task = CreateArchiveTableOperator(
        task_id="create", tables={place.orders["table"]: target}, **place.systems
    )
    said = message(lambda: task.execute(context()))
    for part in (target, "ReplacingMergeTree", "id", "Int8", "name"):
        assert part in said, part
    assert place.client.command(f"SELECT count() FROM {target}") == 1


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (None, "Give window_start and window_end"),
        (("2024-01-02", "2024-01-01"), "empty or reversed"),
        (("2024-01-01", "2024-01-01"), "empty or reversed"),
        (("2024-01-01", None), "give both, or neither"),
    ],
)
def test_every_stage_refuses_a_run_without_a_window(place: Place, window: Any, words: str) -> None:
    stream = {"connector": place.schema, "topic_prefix": place.schema}
    purge = {"purge_conn_id": "mysql_purge", "time_column": "day", **place.orders, **place.systems}
    tasks = [
        preflight(place, time_columns={place.orders["table"]: "day"}),
        VerifyArchiveOperator(task_id="v", time_column="day", **stream, **place.orders, **place.systems),
        PurgeSourceOperator(task_id="p", retention=timedelta(0), **purge),
        SealArchiveOperator(task_id="s", topic_prefix=place.schema, **purge),
    ]
    for task in tasks:
        assert words in message(lambda task=task: task.execute(context(window))), task.task_id


def purge(place: Place, **more: Any) -> PurgeSourceOperator:
    known = {**place.orders, **place.systems, "time_column": "day", "purge_conn_id": "mysql_purge"}
    return PurgeSourceOperator(task_id="purge", **{"retention": timedelta(days=30), **known, **more})


def test_a_purge_names_every_reason_not_to_delete(place: Place) -> None:
    """No proof, a young window, a parent of a cascading key, and a policy that would apply the purge's own deletes."""
    CreateArchiveTableOperator(
        task_id="create", tables={place.orders["table"]: place.orders["target"]}, **place.systems
    ).execute(context())
    said = message(
        lambda: purge(place, delete_policy="mirror").execute(context(("2999-01-01", "2999-01-02")))
    )
    for part in (
        f"refused to purge {place.orders['table']}", "nothing was deleted", "has no proof; run VerifyArchiveOperator",
        "younger than the retention of 30 days", "the delete policy", "mirror", "item_order", "ON DELETE CASCADE",
    ):  # fmt: skip
        assert part in said, part


def test_a_cascading_key_is_refused_by_name_until_it_is_listed(place: Place) -> None:
    """The name that the refusal prints is the name to list."""
    CreateArchiveTableOperator(
        task_id="create", tables={place.orders["table"]: place.orders["target"]}, **place.systems
    ).execute(context())
    said = message(lambda: purge(place).execute(context(WINDOW)))
    name = f"{place.schema}.items(item_order) -> {place.schema}.orders"
    assert name in said, said
    assert "item_order" not in message(lambda: purge(place, listed=[name]).execute(context(WINDOW)))


def test_employees_are_refused_by_the_names_of_their_children(place: Place) -> None:
    target = f"{place.database}.employees"
    CreateArchiveTableOperator(
        task_id="create", tables={"employees.employees": target}, **place.systems
    ).execute(context())
    task = purge(place, table="employees.employees", target=target, time_column=None)
    said = message(lambda: task.execute(context()))
    for child in ("dept_emp", "dept_manager", "salaries", "titles"):
        assert f"employees.{child}(" in said


def test_a_dry_run_of_a_purge_needs_the_same_proof(place: Place) -> None:
    assert "has no proof" in message(lambda: purge(place, dry_run=True).execute(context(WINDOW)))


def test_a_seal_without_a_purge_says_so(place: Place) -> None:
    task = SealArchiveOperator(
        task_id="seal", topic_prefix=place.schema, purge_conn_id="mysql_purge", time_column="day",
        **place.orders, **place.systems,
    )  # fmt: skip
    assert "no finished purge to seal" in message(lambda: task.execute(context(WINDOW)))


def test_a_replica_that_is_not_logical_is_named(place: Place, given: Give, throw_away: ThrowAway) -> None:
    server = throw_away.start("postgres", "-c", "wal_level=replica")
    bad = given("bad", "postgres_verify", port=server.port, login="postgres", password="", schema="postgres")
    said = message(
        lambda: preflight(place, {"public.t": f"{place.database}.t"}, source_conn_id=bad).execute(context())
    )
    assert "ALTER SYSTEM SET wal_level = 'logical'" in said


def test_no_free_slot_is_named(place: Place) -> None:
    """Against the stack's own server: as many slots as it has are taken for a moment."""
    engine = ENGINES["postgres"]
    (free,) = engine.query(
        "SELECT current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)"
    )[0]
    taken = [f"taken_{services.token()}" for _ in range(free)]
    tables = {"public.shipments": f"{place.database}.shipments"}
    try:
        for slot in taken:
            engine.query(f"SELECT pg_create_physical_replication_slot('{slot}')")
        said = message(
            lambda: preflight(
                place, tables, source_conn_id="postgres_verify", slot="one_more", publication="chista"
            ).execute(context())
        )
    finally:
        for slot in taken:
            engine.query(f"SELECT pg_drop_replication_slot('{slot}')")
    assert "max_replication_slots" in said
