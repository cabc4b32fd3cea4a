"""One stack with Airflow for all system tests, which run Dags as users run them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from airflow_provider_chista.debezium.connect import KafkaConnectClient
from stack.services.airflow import process_environment
from stack.settings import Stack
from tests.integration.support import services
from tests.system.support import tables
from tests.system.support.airflow import Airflow, Run, wait_for

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
PATIENCE = 60_000
"""Milliseconds for a page; a loaded machine needs some."""

ORDER = [
    "test_archive", "test_clear", "test_ui", "test_backfill", "test_live", "test_windows", "test_purge", "test_page",
    "test_kills", "test_examples",
    "test_deferrable", "test_secrets",
]  # fmt: skip
"""Modules in the order that lets one use what the one before it archived. What must not be anywhere is looked for last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)
    own = [item for item in items if here in item.path.parents]
    places = iter(sorted(own, key=lambda item: ORDER.index(item.path.stem)))
    items[:] = [next(places) if here in item.path.parents else item for item in items]


@pytest.fixture(scope="session")
def stack(stack_env: dict[str, str]) -> Stack:
    return services.stack()


@pytest.fixture(scope="session")
def airflow(stack: Stack) -> Airflow:
    client = Airflow(stack.airflow_url, "admin", stack.secrets["CHISTA_AIRFLOW_PASSWORD"])
    for dag in ("systest_archive", "systest_kills"):
        wait_for(f"Airflow to know {dag}", 240, lambda dag=dag: client.has(dag), 1)
    return client


@pytest.fixture(scope="session")
def clickhouse(stack: Stack) -> Client:
    return services.clickhouse()


@pytest.fixture(scope="session")
def connect(stack: Stack) -> Iterator[KafkaConnectClient]:
    with KafkaConnectClient(stack.connect_url) as client:
        yield client


@pytest.fixture(scope="session")
def cli(stack: Stack) -> Callable[..., str]:
    """The ``airflow`` command, as on one of the stack's machines."""

    def run(*words: str) -> str:
        done = subprocess.run(
            [stack.venv / "bin" / "airflow", *words],
            env=process_environment(stack), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def pictures(stack: Stack) -> Path:
    folder = stack.logs / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack, airflow: Airflow) -> Page:
    """A browser in which somebody has logged in."""
    page = browser.new_page(base_url=stack.airflow_url, viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto("/dags")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(stack.secrets["CHISTA_AIRFLOW_PASSWORD"])
    page.locator("button[type=submit], input[type=submit]").first.click()
    page.wait_for_url("**/dags*")
    return page


@pytest.fixture(scope="session")
def loaded(stack: Stack) -> None:
    """The sources with their rows, before any connector was registered."""
    tables.load()


@pytest.fixture(scope="session")
def before(loaded: None) -> tables.Before:
    return tables.Before.read()


@pytest.fixture(scope="session")
def scheduled(airflow: Airflow, before: tables.Before) -> Run:
    """archive_postgres, never triggered by anybody: only switched on, with the report behind it."""
    airflow.dag("report").unpause()
    dag = airflow.dag("archive_postgres")
    dag.unpause()
    return dag.wait_for_run()


@pytest.fixture(scope="session")
def triggered(airflow: Airflow, scheduled: Run, before: tables.Before) -> Run:
    """archive_mysql with a window by conf."""
    dag = airflow.dag("archive_mysql")
    dag.settle_schedule()
    dag.unpause()
    return dag.archive(*tables.WINDOW)


@pytest.fixture(scope="session")
def filled_in_runs() -> list[Run]:
    """Where the test of the trigger form leaves the run that it started."""
    return []


@pytest.fixture
def filled_in(filled_in_runs: list[Run]) -> Run:
    """The run that was started in the browser."""
    if not filled_in_runs:
        pytest.skip("needs the run of tests/system/test_ui.py")
    return filled_in_runs[0]
