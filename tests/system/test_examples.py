"""The example DAGs beside the three archives: all run at once, each on rows of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from clickhouse_connect.driver.client import Client

from tests.integration.support.engines import ENGINES
from tests.integration.support.ports import free_port
from tests.system.support import ledger
from tests.system.support.airflow import ENDED, Airflow, Run, wait_for
from tests.system.support.tables import (
    BACKFILLED,
    FOREVER,
    MANAGERS,
    MAPPED,
    MEMBERS,
    PEOPLE,
    SALARIES,
    YAML_TITLES,
    Hashes,
    salaries,
    titles,
)

WINDOW = ("1988-01-01", "1988-02-01")
DAYS = [date(1987, 12, 31), date(1988, 1, 1), date(1988, 1, 31), date(1988, 2, 1)]
"""The two in the middle are the window's."""

DAMAGE = {"missing rows", "differing rows", "extra rows", "altered evidence", "lost columns", "not audited"}
"""What other tests may leave open beside these rows is no finding of this one."""

RESTORED = ("1990-03-02", "1990-03-03")
"""A day that tests/system/test_backfill.py purged."""


@dataclass
class Mailbox:
    """Takes every mail."""

    mails: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def mails(airflow: Airflow) -> Iterator[list[Message]]:
    """Mails that Airflow sends over its connection smtp_default."""
    mailbox, port = Mailbox(), free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    plain = json.dumps({"disable_ssl": True, "disable_tls": True})
    known = {
        "connection_id": "smtp_default",
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "extra": plain,
    }
    airflow.call("POST", "/connections", known, 201)
    yield mailbox.mails
    server.stop()


@pytest.fixture(scope="module")
def rows(loaded: None) -> dict[str, Hashes]:
    """What each example finds, by the name of its archive table."""
    for engine in ENGINES.values():
        engine.execute(
            "DELETE FROM employees.departments",
            "INSERT INTO employees.departments VALUES ('d001', 'Vertrieb')",
        )
    for number, day in enumerate(DAYS):
        person = PEOPLE[number]
        for pair in (MEMBERS, MANAGERS):
            pair.insert([(person, "d001", day, FOREVER)])
        YAML_TITLES.insert(titles(day, 3))
        SALARIES["mysql"].insert(salaries(day, 5))
    return {pair.target: pair.in_source() for pair in (MEMBERS, MANAGERS, YAML_TITLES, BACKFILLED)}


@pytest.fixture(scope="module")
def runs(airflow: Airflow, rows: dict[str, Hashes], mails: list[Message]) -> dict[str, Run]:
    made = {}
    for dag_id in ("archive_only", "purge_approved", "yaml_postgres", "backfill_salaries"):
        dag = airflow.dag(dag_id)
        dag.settle_schedule()
        dag.unpause()
        made[dag_id] = dag.archive(*WINDOW)
    mapped = airflow.dag("drain_mapped")
    mapped.settle_schedule()
    mapped.unpause()
    return {**made, "drain_mapped": mapped.trigger()}


def test_a_purge_waits_for_the_person_whom_the_mail_told(
    runs: dict[str, Run], mails: list[Message], rows: dict[str, Hashes], clickhouse: Client
) -> None:
    run = runs["purge_approved"]
    run.wait_for_task("employees_dept_manager.approve", "awaiting_input", "deferred")
    (mail,) = wait_for("the mail", 30, lambda: mails)
    assert mail["Subject"] == "employees.dept_manager: proven rows wait for your approval"
    assert mail["To"] == "data-owners@example.com"
    assert run.run_id.encode() in b"".join(part.get_payload(decode=True) or b"" for part in mail.walk())
    assert MANAGERS.in_source() == rows[MANAGERS.target]
    run.answer({"employees_dept_manager.approve": ("Approve", "seen")})
    run.wait()
    assert MANAGERS.count(*WINDOW) == 0
    assert MANAGERS.count() == 2
    assert MANAGERS.in_archive(clickhouse) == rows[MANAGERS.target]


def test_an_archive_without_a_purge_ends_with_the_proof(
    runs: dict[str, Run], rows: dict[str, Hashes], clickhouse: Client
) -> None:
    run = runs["archive_only"]
    run.wait()
    assert MEMBERS.in_source() == MEMBERS.in_archive(clickhouse) == rows[MEMBERS.target]
    assert ledger.stages(clickhouse, MEMBERS.target, run_id=run.run_id) == ["verified"]
    assert run.xcom("employees_dept_emp.verify")["rows"] == 2
    assert not any(name.endswith((".approve", ".purge", ".seal")) for name in run.states())


def test_archives_from_yaml_run_as_those_from_python(
    runs: dict[str, Run], rows: dict[str, Hashes], clickhouse: Client
) -> None:
    run = runs["yaml_postgres"]
    run.answer({"employees_titles.approve": ("Approve", None)})
    run.wait()
    assert YAML_TITLES.count(*WINDOW) == 0
    assert YAML_TITLES.in_archive(clickhouse) == rows[YAML_TITLES.target]
    assert run.xcom("employees_titles.seal")["rows"] == 6
    assert run.xcom("employees_departments.verify")["rows"] == 1
    assert "employees_departments.purge" not in run.states()


def test_a_backfill_by_windows_reads_its_month_and_no_more(
    runs: dict[str, Run], rows: dict[str, Hashes], clickhouse: Client
) -> None:
    runs["backfill_salaries"].wait()
    found = BACKFILLED.in_archive(clickhouse)
    assert found == SALARIES["mysql"].in_source(*WINDOW)
    assert len(found) == 10


def test_mapped_drains_bring_every_table_to_the_source(runs: dict[str, Run], clickhouse: Client) -> None:
    runs["drain_mapped"].wait()
    assert MAPPED.in_source().items() <= MAPPED.in_archive(clickhouse).items()


def test_a_day_that_was_purged_comes_back_and_the_audit_finds_nothing(
    airflow: Airflow, runs: dict[str, Run], clickhouse: Client
) -> None:
    pair = SALARIES["mysql"]
    assert pair.count(*RESTORED) == 0
    restore, audit = airflow.dag("restore_rows"), airflow.dag("audit")
    restore.unpause()
    back = restore.archive(*RESTORED)
    back.wait()
    assert pair.count(*RESTORED) == 20
    assert back.xcom("restore")["restored"] == 20
    assert pair.in_source().items() <= pair.in_archive(clickhouse).items()
    audit.settle_schedule()
    audit.unpause()
    audited = audit.archive("1980-01-01", "1990-03-04")
    wait_for("the audit to end", 300, lambda: audited.facts()["state"] in ENDED)
    (entry,) = ledger.entries(clickhouse, pair.target, run_id=audited.run_id)
    assert entry["stage"] == "audited"
    assert entry["rows"] >= 10
    assert not DAMAGE & set(json.loads(entry["detail"])["findings"])
