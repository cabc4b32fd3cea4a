"""``airflow chista doctor`` and ``restore --dry-run``."""

from __future__ import annotations

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.cli.conftest import Run
from tests.integration.operators.conftest import Place
from tests.integration.support.engines import Connector
from tests.integration.support.tasks import context

SOURCE = ("--source-conn-id", "mysql_verify")


def test_the_doctor_prints_every_finding_with_its_remedy_and_says_whether_one_blocks(
    place: Place, run: Run
) -> None:
    def pair(name: str) -> str:
        return f"{place.schema}.{name}={place.database}.{name}"

    refused = run("doctor", *SOURCE, "--tables", pair("places"))
    assert (refused.code, refused.err) == (1, "")
    assert f"[error] column: {place.schema}.places.id" in refused.out
    assert "Remedy: " in refused.out

    child = f"{place.schema}.items(item_order) -> {place.schema}.orders"
    archiving = run("doctor", *SOURCE, "--tables", pair("orders"), "-o", "json")
    assert (archiving.code, [row["severity"] for row in archiving.rows]) == (0, ["purge"])
    assert archiving.rows[0]["subject"] == child
    purging = ("--purge-conn-id", "mysql_purge", "--tables", pair("orders"))
    assert run("doctor", *SOURCE, *purging).code == 1
    assert run("doctor", *SOURCE, *purging, "--listed", child).code == 0
    wrong_user = run("doctor", *SOURCE, *purging, "--listed", child, "--purge-conn-id", "mysql_restore")
    assert wrong_user.code == 1
    assert f"GRANT DELETE ON `{place.schema}`.`orders` TO 'chista_restore'@'%';" in wrong_user.out


def test_the_doctor_looks_at_a_connector_and_at_the_tables_that_it_captures(
    place: Place, run: Run, stopped: Connector
) -> None:
    orders, items = (f"{place.schema}.{name}={place.database}.{name}" for name in ("orders", "items"))
    found = run("doctor", *SOURCE, "--connector", stopped.name, "--tables", orders, items)
    assert found.code == 1
    assert f"connector {stopped.name}: connector {stopped.name} is STOPPED. Remedy: resume it" in found.out
    assert f"connector {stopped.name}: it does not capture {place.schema}.items." in found.out
    assert f"it does not capture {place.schema}.orders" not in found.out
    nobody = run("doctor", *SOURCE, "--connector", "nobody", "--tables", orders)
    assert (nobody.code, "has no such connector" in nobody.out) == (1, True)

    for words in (["--connector", stopped.name], ["--connector", "nobody"], []):
        unknown = run("doctor", *SOURCE, *words)
        assert (unknown.code, unknown.out) == (2, "")
        assert ("no connector nobody" if "nobody" in words else "--tables TABLE=TARGET") in unknown.err
    for name in ("orders", "items"):
        entry = {"source": f"mysql:{place.schema}.{name}", "target": f"{place.database}.{name}"}
        place.control.insert("ledger", [{**entry, "window": "all", "stage": "verified", "verify_id": "v"}])
    known = run("doctor", *SOURCE, "--connector", stopped.name, "-o", "json")
    tables = {row["subject"].split("(")[0] for row in known.rows if row["check"] == "foreign key"}
    assert tables == {f"{place.schema}.items"}
    assert [row["found"] for row in known.rows if row["severity"] == "error"] == [
        f"connector {stopped.name} is STOPPED"
    ]


def test_a_restore_is_counted_and_nothing_is_written(place: Place, run: Run) -> None:
    table, target = f"{place.schema}.orders", f"{place.database}.orders"
    CreateArchiveTableOperator(task_id="create", tables={table: target}, **place.systems).execute(context())
    place.client.command(
        f"INSERT INTO {sql.table(TableId.parse(target))} (id, name, day, _chista_version)"
        " SELECT 1000 + number, toString(number), toDate('2023-03-01') + number % 2, 1 FROM numbers(10)"
    )
    words = ["restore", "--table", table, "--target", target, *SOURCE, "--restore-conn-id", "mysql_restore"]
    window = ["--time-column", "day", "--window-start", "2023-03-01", "--window-end", "2023-03-02"]
    counted = run(*words, "--dry-run", *window, "-o", "json")
    assert counted.code == 0
    (row,) = counted.rows
    assert (row["selected"], row["restored"], row["already_there"], row["dry_run"]) == (5, 5, 0, True)
    assert "INSERT INTO" in counted.err
    keyed = run(*words, "--dry-run", "--row-keys", "1001", "1003", "-o", "json")
    assert keyed.rows[0]["restored"] == 2
    assert run(*words, *window).code == 2
    for more in ([], ["--batch-id", "none"], ["--row-keys", "5000"], [*window, "--row-keys", "1001"]):
        refused = run(*words, "--dry-run", *more)
        assert (refused.code, refused.out) == (2, ""), more
        assert len(refused.err.splitlines()) == 1
    assert place.engine.query(f"SELECT count(*) FROM {table} WHERE id >= 1000") == [(0,)]
    for state, condition in (("ledger", "stage = 'restored'"), ("manifest", "1")):
        left = f"SELECT count() AS n FROM {place.control.name(state)} WHERE {condition}"
        assert place.control.rows(left, {}) == [{"n": 0}], state
