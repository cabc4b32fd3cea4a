"""The page of the archive in Airflow's UI, in a real browser, over what the runs of the other modules have written."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
from clickhouse_connect.driver.client import Client
from playwright.sync_api import FrameLocator, Page, expect

from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId
from stack.settings import Stack
from tests.integration.support.stories import many
from tests.system.support import ledger
from tests.system.support.airflow import Airflow
from tests.system.support.tables import CHISTA, SALARIES

TARGET = SALARIES["mysql"].target
WHOLE = CHISTA["mysql"].target
DAY = timedelta(days=1)


def bounds(window: str) -> list[datetime]:
    """First and last moment of a window's name in the ledger."""
    return [datetime.fromisoformat(bound) for bound in window.partition(":")[2].split("/")]


@pytest.fixture(scope="module")
def sealed(clickhouse: Client) -> dict[str, Any]:
    """The ledger's newest seal of a range of the table; the backfill's days are another calendar."""
    entries = [entry for entry in ledger.entries(clickhouse, TARGET) if entry["stage"] == "sealed"]
    ranges = [entry for entry in entries if bounds(entry["window"])[1] - bounds(entry["window"])[0] > DAY]
    if not ranges:
        pytest.skip("needs the runs of the other system tests")
    return ranges[-1]


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def token(stack: Stack, airflow: Airflow, **claims: Any) -> str:
    """A token of Airflow's with other claims, signed as Airflow signs."""
    password = stack.secrets["CHISTA_AIRFLOW_PASSWORD"]
    answer = httpx.post(f"{stack.airflow_url}/auth/token", json={"username": "admin", "password": password})
    header, payload, _ = answer.json()["access_token"].split(".")
    known = [json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in (header, payload)]
    secret = stack.secrets["CHISTA_AIRFLOW_JWT_SECRET"]
    return jwt.encode({**known[1], **claims}, secret, known[0]["alg"], headers=known[0])


def test_the_navigation_leads_to_the_page_with_every_table(page: Page, sealed: dict[str, Any]) -> None:
    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Archive").click()
    page.wait_for_url("**/plugin/archive*")
    tables = frame(page).locator("#tables")
    expect(tables.get_by_role("button", name=TARGET)).to_be_visible()
    expect(tables.get_by_role("button", name=WHOLE)).to_be_visible()


def test_a_cell_has_its_windows_state_and_leads_to_its_entries_and_to_the_run(
    page: Page, sealed: dict[str, Any], clickhouse: Client, pictures: Path
) -> None:
    page.goto(f"/plugin/archive/chista/page?target={TARGET}")
    inside = frame(page)
    expect(inside.get_by_role("heading", name=TARGET)).to_be_visible()
    start = bounds(sealed["window"])[0].date()
    cell = inside.locator(f".cell[aria-label^='{start} – ']").first
    expect(cell.locator(".swatch")).to_have_attribute("data-state", "sealed")
    cell.click()
    details = inside.get_by_role("complementary", name="Chosen window")
    expect(details.get_by_text(sealed["digest"]).first).to_be_visible()
    expect(details.get_by_text(f"Sealed: {sealed['rows']:,} deletes came back")).to_be_visible()
    entries = ledger.entries(clickhouse, TARGET)
    approved = [e for e in entries if e["verify_id"] == sealed["verify_id"] and e["stage"] == "approved"][-1]
    expect(details.get_by_text(f"Approved by {approved['actor']}").first).to_be_visible()
    page.screenshot(path=pictures / "page-light.png")
    details.get_by_role("link", name="Open the run").click()
    page.wait_for_url("**/dags/archive_mysql/runs/**")
    expect(page.get_by_role("link", name="archive_mysql").first).to_be_visible()


def test_the_tab_of_a_run_frames_its_own_windows(page: Page, sealed: dict[str, Any], pictures: Path) -> None:
    run = quote(sealed["run_id"], safe="")
    page.goto(f"/dags/archive_mysql/runs/{run}/plugin/archive_run")
    expect(page.get_by_role("link", name="Archive", exact=True)).to_be_visible()
    inside = frame(page)
    expect(
        inside.get_by_text(f"What the run {sealed['run_id']} of archive_mysql has worked on")
    ).to_be_visible()
    inside.get_by_role("button", name=TARGET).click()
    expect(inside.locator(".cell.of-run").first).to_be_visible()
    expect(inside.locator("#tables").get_by_text(SALARIES["postgres"].target)).to_have_count(0)
    page.screenshot(path=pictures / "page-run.png")


def test_the_page_follows_airflows_dark(page: Page, sealed: dict[str, Any], pictures: Path) -> None:
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto(f"/plugin/archive/chista/page?target={TARGET}")
    inside = frame(page)
    inside.locator(".cell").first.click()
    expect(inside.get_by_role("heading", name="Proof").first).to_be_visible()
    expect(inside.locator("html")).to_have_attribute("data-theme", "dark")
    assert (
        inside.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(9, 9, 11)"
    )
    page.screenshot(path=pictures / "page-dark.png")


@pytest.fixture
def years(clickhouse: Client) -> Iterator[str]:
    """A table with 5,000 windows by the day, in the ledger only."""
    target = TableId("archive_mysql", "years")
    many(Control(clickhouse), target, range(5_000), "archive_mysql")
    yield str(target)
    for table in ("ledger", "leases"):
        clickhouse.command(f"DELETE FROM chista.{table} WHERE target = '{target}'")


def test_five_thousand_windows_are_drawn_at_once_and_can_be_walked_by_keyboard(
    page: Page, airflow: Airflow, years: str, pictures: Path
) -> None:
    page.goto(f"/plugin/archive/chista/page?target={years}")
    inside = frame(page)
    cells = inside.locator("rect.cell")
    expect(cells).to_have_count(5_000)
    assert inside.locator("body").evaluate("() => performance.getEntriesByName('drawn')[0].duration") < 2_000
    expect(inside.get_by_role("button", name=re.compile("^Sealed in part [1-9]"))).to_be_visible()
    inside.locator("rect.cell[tabindex='0']").focus()
    for key, day in (("ArrowLeft", "2025-09-01"), ("ArrowDown", "2025-09-02")):
        page.keyboard.press(key)
        expect(inside.locator("rect.cell:focus")).to_have_attribute("aria-label", re.compile(day))
    page.keyboard.press("Enter")
    expect(inside.get_by_role("heading", name="2025-09-02")).to_be_visible()
    expect(inside.get_by_text("rows proven equal").first).to_be_visible()
    page.screenshot(path=pictures / "page-years.png")


@pytest.fixture
def drained(clickhouse: Client, years: str) -> None:
    """Three days of drains of the table with 5,000 windows, one every second hour; the lag grows."""
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    leases = [
        {
            "target": years, "topic": "shop.years", "partition": 0, "owner": f"o{n}", "task": "t", "epoch": n, "released": 1,
            "acquired_at": begin + timedelta(hours=2 * n), "renewed_at": begin + timedelta(hours=2 * n, minutes=1),
            "first": 10_000 * n, "next_offset": 10_000 * (n + 1), "end_offset": 10_000 * (n + 1) + 250 * n,
        }
        for n in range(36)
    ]  # fmt: skip
    Control(clickhouse).insert("leases", leases)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lag_and_throughput_are_drawn_by_the_hour(
    page: Page, airflow: Airflow, years: str, drained: None, pictures: Path, theme: str
) -> None:
    page.evaluate(f"localStorage.setItem('theme', '{theme}')")
    page.goto(f"/plugin/archive/chista/page?target={years}")
    drains = frame(page).locator("#drains")
    drains.scroll_into_view_if_needed()
    throughput, lag = drains.locator("svg").first, drains.locator("svg").last
    expect(throughput.locator("rect.bar")).to_have_count(36)
    expect(lag.locator("rect.part")).to_have_count(35)
    expect(drains.get_by_text("360,000 records", exact=True)).to_be_visible()
    expect(drains.get_by_text("at most 18,750 waiting")).to_be_visible()
    expect(drains.get_by_text("8,750 left", exact=True)).to_be_visible()
    expect(lag.locator("title").last).to_have_text(re.compile("UTC: 18,750 records waiting, 8,750 left$"))
    drains.screenshot(path=pictures / f"page-drains-{theme}.png")


def test_nobody_without_a_login_or_a_role_sees_anything(stack: Stack, airflow: Airflow) -> None:
    nobody = {"Authorization": f"Bearer {token(stack, airflow, sub='ned', role='')}"}
    viewer = {"Authorization": f"Bearer {token(stack, airflow, sub='vera', role='viewer')}"}
    for path in ("page", "static/page.js", "api/tables", f"api/windows?target={TARGET}"):
        url = f"{stack.airflow_url}/chista/{path}"
        statuses = [httpx.get(url, headers=headers).status_code for headers in ({}, nobody, viewer)]
        assert statuses == [401, 403, 200], path
