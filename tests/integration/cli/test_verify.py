"""``airflow chista verify``, and what status and windows tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.model import TableId
from tests.integration.cli.conftest import Run
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.support.engines import Connector

ROWS = 30


@pytest.fixture
def words(place: Place) -> list[str]:
    """The arguments that name an equal pair of tables."""
    pair = archived_pair(place, ROWS)
    return ["--table", pair["table"], "--target", pair["target"], "--source-conn-id", "mysql_verify"]


def entries(place: Place, target: str) -> list[dict[str, Any]]:
    return place.control.rows(
        f"SELECT stage, rows, dag_id, run_id, task_id FROM {place.control.name('ledger')}"
        " WHERE target = {target:String} ORDER BY at",
        {"target": target},
    )


def test_equal_rows_are_exit_code_0_and_a_proof_and_differences_exit_code_1(
    place: Place, run: Run, words: list[str]
) -> None:
    target = words[3]
    equal = run("verify", *words, "-o", "json")
    assert (equal.code, equal.err) == (0, "")
    (found,) = equal.rows
    assert (found["result"], found["rows"], found["window"]) == ("equal", ROWS, "the whole table")
    (proof,) = entries(place, target)
    assert (proof["stage"], proof["rows"], proof["dag_id"]) == ("verified", ROWS, "")
    assert proof["run_id"].startswith("cli__")
    assert proof["task_id"] == "airflow chista verify"

    place.client.command(
        f"INSERT INTO {sql.table(TableId.parse(target))} (id, name, _chista_version) VALUES (7, 'other', 2)"
    )
    for more in ([], ["--mode", "digest"], ["--row-keys", "6", "7"], ["--first-key", "5", "--end-key", "9"]):
        differing = run("verify", *words, *more)
        assert (differing.code, differing.out) == (1, ""), more
        (line,) = differing.err.splitlines()
        assert line.startswith(f"airflow chista: {words[1]} and its archive {target} differ"), more
        assert "key 7 is differing in name" in line
    spared = run("verify", *words, "--first-key", "8", "-o", "json")
    assert (spared.code, spared.rows[0]["rows"]) == (0, ROWS - 8)

    (window,) = run("windows", "--target", target, "-o", "json").rows
    assert (window["window"], window["state"], window["proven"]) == ("all", "mismatched", ROWS)
    (table,) = run("status", "--target", target, "-o", "json").rows
    assert (table["source"], table["windows"], table["mismatched"]) == (f"mysql:{words[1]}", 1, 1)
    assert table["age"].split()[1] in ("s", "min")
    assert run("windows", "--target", target, "--state", "sealed", "-o", "json").rows == []


def test_a_connector_is_named_in_the_proof_and_catches_the_archive_up_before_rows_differ(
    place: Place, run: Run, words: list[str], stopped: Connector
) -> None:
    words = [*words, "--connector", stopped.name, "--catch-up-timeout", "1"]
    assert run("verify", *words).code == 0
    (proof,) = place.control.rows(
        f"SELECT JSONExtractString(detail, 'connector') AS connector FROM {place.control.name('ledger')}"
        " WHERE target = {target:String}",
        {"target": words[3]},
    )
    assert proof == {"connector": stopped.name}
    place.engine.execute(f"UPDATE {words[1]} SET name = 'later' WHERE id = 3")
    waited = run("verify", *words)
    assert (waited.code, waited.out) == (2, "")
    assert stopped.name in waited.err
    assert "differ in" not in waited.err


def test_a_comparison_that_cannot_be_made_is_exit_code_2_and_one_line(
    run: Run, words: list[str], given: Any
) -> None:
    given("wrong", "mysql_verify", password="not-the-password")
    given("telling", "mysql_verify", password="not-the-password", host="not-the-password")
    for changed, said in (
        (["--table", "nowhere.orders"], "nowhere.orders"),
        (["--window-start", "2024-01-01"], "--time-column, --window-start and --window-end"),
        (["--connector", "nobody"], "no connector nobody"),
        (["--source-conn-id", "nowhere"], "`nowhere` isn't defined"),
        (["--source-conn-id", "wrong"], "chista_verify"),
        (["--source-conn-id", "telling"], "***"),
        (["--clickhouse-conn-id", "mysql_verify"], "airflow chista: "),
        (["--first-key", "a"], "airflow chista: "),
    ):
        failed = run("verify", *words, *changed)
        assert (failed.code, failed.out) == (2, ""), changed
        (line,) = failed.err.splitlines()
        assert said in line
        assert "not-the-password" not in line
    told = run("verify", *words, "--table", "nowhere.orders", "--verbose")
    assert told.code == 2
    assert "Traceback" in told.err
    assert run("verify", *words, "--mode", "guess").code == 2
    for command in ("status", "windows"):
        unknown = run(command, "--target", "elsewhere.orders")
        assert (unknown.code, unknown.out) == (2, "")
        assert "does not know elsewhere.orders" in unknown.err
