"""archive_mariadb as a person runs it: in a real browser, by the trigger form and the Required Action tab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from playwright.sync_api import Locator, Page, expect

from stack.settings import HOST, Stack
from tests.system.support import ledger
from tests.system.support.airflow import Airflow, Run
from tests.system.support.tables import CHISTA, SALARIES, WINDOW, Hashes


def dialog(page: Page) -> Locator:
    return page.locator("[role=dialog][data-state=open]")


@pytest.fixture(scope="session")
def before_form(loaded: None) -> tuple[Hashes, Hashes]:
    return CHISTA["mariadb"].in_source(), SALARIES["mariadb"].in_source()


def test_the_form_has_date_pickers_and_switches_and_the_run_uses_what_was_filled_in(
    page: Page, airflow: Airflow, before_form: object, pictures: Path, filled_in_runs: list[Run]
) -> None:
    dag = airflow.dag("archive_mariadb")
    dag.settle_schedule()
    known = {run.run_id for run in dag.runs()}
    page.goto("/dags/archive_mariadb")
    page.get_by_role("button", name="Trigger").first.click()
    form = dialog(page)
    start, end = form.locator("[name=element_window_start]"), form.locator("[name=element_window_end]")
    for picker in (start, end):
        expect(picker).to_have_attribute("type", "date")
        expect(picker).to_have_value("")
    expect(form.locator("[name=element_dry_run]")).not_to_be_checked()
    expect(form.locator("[name=element_purge]")).to_be_checked()
    expect(form.get_by_text("Ask for approval, then delete the proven rows at the source.")).to_be_visible()
    start.fill(WINDOW[0])
    end.fill(WINDOW[1])
    form.locator("[name=element_reason]").fill("to make room")
    page.screenshot(path=pictures / "trigger-form.png")
    form.get_by_role("button", name="Trigger", exact=True).click()
    expect(form).to_be_hidden()
    run = dag.wait_for_run(known)
    filled_in_runs.append(run)
    facts = run.facts()
    assert facts["run_type"] == "manual"
    assert facts["conf"] == {
        "window_start": WINDOW[0], "window_end": WINDOW[1], "dry_run": False, "purge": True, "reason": "to make room",
    }  # fmt: skip
    assert not airflow.call("GET", "/dags/archive_mariadb")["is_paused"]


def test_the_kafka_connect_connection_has_its_form_and_the_test_button_answers(
    page: Page, stack: Stack, pictures: Path
) -> None:
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    form = dialog(page)
    form.locator("input[name=connection_id]").fill("ui_kafka_connect")
    form.locator("input[role=combobox]").click()
    page.keyboard.type("kafka_con")
    page.get_by_role("option", name="kafka_connect").or_(
        page.get_by_text("Kafka Connect", exact=True)
    ).first.click()
    for label in ("URL or host", "User", "Password", "Port", "Scheme"):
        expect(form.get_by_text(label, exact=True)).to_be_visible()
    form.locator("input[name=host]").fill(f"http://{HOST}")
    form.locator("input[name=port]").fill(str(stack.ports["connect"]))
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for label in ("Verify TLS certificate", "CA file", "Timeout, seconds"):
        expect(form.get_by_text(label).first).to_be_visible()
    page.screenshot(path=pictures / "connection-form.png")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    page.get_by_role("button", name="Test Connection").first.click()
    expect(
        page.get_by_text("Debezium connectors: MariaDbConnector, MySqlConnector, PostgresConnector").first
    ).to_be_visible()
    page.screenshot(path=pictures / "connection-tested.png")


def test_a_purge_is_approved_in_the_required_action_tab(page: Page, filled_in: Run, pictures: Path) -> None:
    filled_in.wait_for_task("test_chista.approve", "awaiting_input")
    filled_in.wait_for_task("employees_salaries.approve", "awaiting_input")
    page.goto("/required_actions")
    ours = page.locator("tr", has=page.get_by_role("link", name="archive_mariadb"))
    subject = ours.get_by_role("link", name="[1986-01-01, 1987-01-01): delete 200 rows of").first
    expect(subject).to_be_visible()
    page.screenshot(path=pictures / "required-actions.png")
    subject.click()
    expect(page.get_by_text("Every row was proven equal by its hash.")).to_be_visible()
    page.locator("[name=element_reason]").fill("seen in the browser")
    page.screenshot(path=pictures / "approval.png")
    page.get_by_role("button", name="Approve", exact=True).click()
    # Airflow may ask once more (support/airflow.py); then the rest is answered beside the browser.
    filled_in.answer(
        {
            "employees_salaries.approve": ("Approve", "seen in the browser"),
            "test_chista.approve": ("Approve", "by REST"),
        }
    )


def test_archive_mariadb_ends_with_every_approved_row_sealed(
    filled_in: Run, before_form: tuple[Hashes, Hashes], clickhouse: Client, page: Page, pictures: Path
) -> None:
    filled_in.wait()
    chista, salaries = CHISTA["mariadb"], SALARIES["mariadb"]
    assert chista.in_archive(clickhouse) == before_form[0]
    assert salaries.in_archive(clickhouse) == before_form[1]
    assert chista.count() == salaries.count(*WINDOW) == 0
    assert salaries.count() == len(before_form[1]) - 200
    for pair, actor, reason in ((chista, "admin", "by REST"), (salaries, "admin", "seen in the browser")):
        entries = {entry["stage"]: entry for entry in ledger.entries(clickhouse, pair.target)}
        assert (entries["approved"]["actor"], reason in entries["approved"]["detail"]) == (actor, True)
        for stage in ("verified", "intent", "sealed"):
            assert json.loads(entries[stage]["detail"])["reason"] == "to make room"
    page.goto(f"/dags/archive_mariadb/runs/{filled_in.run_id}")
    expect(page.get_by_text("Success").first).to_be_visible()
    page.screenshot(path=pictures / "run.png")
