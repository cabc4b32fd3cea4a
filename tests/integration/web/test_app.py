"""The page's routes: who is let in, what each person sees, and what is said when ClickHouse does not answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow import settings
from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId
from airflow_provider_chista.web.app import FILES, build_app
from tests.integration.support import services
from tests.integration.support.stories import Story, day

Enter = Callable[..., TestClient]
TARGET = TableId("archive", "shipments")
SECRET = TableId("archive", "salaries")


@pytest.fixture(scope="module", autouse=True)
def airflow_dags() -> Iterator[None]:
    """The tables of Airflow's database by which an auth manager filters DAGs, with two DAGs."""
    names = ("dag", "dag_bundle", "dag_bundle_team", "team")
    tables = [Base.metadata.tables[name] for name in names]
    Base.metadata.create_all(settings.engine, tables=tables)
    with settings.Session() as session:
        session.add(DagBundleModel(name="tests"))
        session.flush()
        for dag_id in ("archive", "secret_archive"):
            session.add(DagModel(dag_id=dag_id, bundle_name="tests"))
        session.commit()
    yield
    Base.metadata.drop_all(settings.engine, tables=tables)


@pytest.fixture(autouse=True)
def configured(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.integration.web.careful.CarefulAuthManager")
    monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", control.database)
    airflow_app.create_auth_manager()


@pytest.fixture
def enter() -> Enter:
    """A browser in which somebody has logged in; without a role: who may do nothing."""

    def enter(role: str | None = "VIEWER") -> TestClient:
        app = build_app()
        app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="vera", role=role)
        return TestClient(app)

    return enter


@pytest.fixture(scope="module")
def told(control: Control) -> None:
    Story.of(control, TARGET, day(0)).tell(Stage.VERIFIED, rows=7)
    Story.of(control, SECRET, day(0), "secret_archive").tell(Stage.VERIFIED, rows=9)


def paths() -> list[str]:
    routes = [route for route in build_app().routes if isinstance(route, APIRoute)]
    assert len(routes) == len(build_app().routes)
    assert {method for route in routes for method in route.methods} == {"GET"}
    return [route.path.replace("{name}", "page.css") for route in routes]


@pytest.mark.parametrize("path", paths())
def test_every_route_asks_for_a_login_and_for_permission(path: str, enter: Enter) -> None:
    assert TestClient(build_app()).get(path).status_code == 401
    assert enter(None).get(path, params={"target": str(TARGET), "window": "all"}).status_code == 403


def test_the_page_and_its_files_come_with_headers_that_allow_nothing_from_outside(enter: Enter) -> None:
    browser = enter()
    answers = [browser.get("/page"), *(browser.get(f"/static/{name}") for name in FILES)]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        text = answer.text.replace("http://www.w3.org/", "")
        assert "://" not in text
        assert " style=" not in text
    assert "static/page.js" in answers[0].text
    assert browser.get("/static/..%2Fapp.py").status_code == 404
    assert browser.get("/static/page.html").status_code == 404


def test_people_see_tables_of_the_dags_that_they_may_read(enter: Enter, told: None) -> None:
    def targets(browser: TestClient) -> list[str]:
        return [table["target"] for table in browser.get("/api/tables").json()["tables"]]

    assert targets(enter("ADMIN")) == [str(SECRET), str(TARGET)]
    assert targets(enter("VIEWER")) == [str(TARGET)]
    viewer, admin = enter("VIEWER"), enter("ADMIN")
    about = {"target": str(SECRET)}
    assert viewer.get("/api/windows", params=about).json()["windows"] == []
    assert len(admin.get("/api/windows", params=about).json()["windows"]) == 1
    for name in ("letters", "quarantine", "mismatches", "space", "positions", "drains", "audits", "activity"):
        assert viewer.get(f"/api/{name}", params=about).status_code == 404, name
        assert admin.get(f"/api/{name}", params=about).status_code == 200, name


def test_windows_and_entries_are_compact_json(enter: Enter, told: None) -> None:
    browser = enter()
    answer = browser.get("/api/windows", params={"target": str(TARGET)}).json()
    (window,) = [dict(zip(answer["columns"], values, strict=True)) for values in answer["windows"]]
    assert (window["state"], window["remaining"], window["dag_id"]) == ("verified", 7, "archive")
    assert isinstance(window["last"], int)
    about = {"target": str(TARGET), "window": window["window"]}
    (entry,) = browser.get("/api/entries", params=about).json()["entries"]
    assert (entry["stage"], entry["rows"], entry["digest"]) == ("verified", 7, f"7:{'ab' * 16}")


def test_the_page_masks_values_where_the_configuration_says_so(
    enter: Enter, told: None, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = {
        "target": str(TARGET),
        "topic": "t",
        "offset": 1,
        "value": b"salary 7000",
        "error_class": "E",
        "error": "7000?",
    }
    control.insert("dead_letters", [letter])
    about = {"target": str(TARGET)}
    assert "7000" in enter().get("/api/letters", params=about).text
    monkeypatch.setenv("AIRFLOW__CHISTA__MASK_VALUES", "True")
    answer = enter().get("/api/letters", params=about)
    assert (answer.status_code, answer.json()["total"]) == (200, 1)
    assert "7000" not in answer.text


@pytest.mark.parametrize(
    ("settings_of_page", "status", "words"),
    [
        ({"PAGE_CONNECTIONS": "nowhere"}, 502, ["no connection 'nowhere'", "[chista] page_connections"]),
        ({"PAGE_CONNECTIONS": " ,"}, 502, ["names no connection"]),
        ({"STATE_DATABASE": "none_at_all"}, 200, ["no state tables", "[chista] state_database"]),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    settings_of_page: dict[str, str],
    status: int,
    words: list[str],
    enter: Enter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in settings_of_page.items():
        monkeypatch.setenv(f"AIRFLOW__CHISTA__{name}", value)
    answer = enter().get("/api/tables")
    assert answer.status_code == status
    said = answer.json().get("error") or answer.json()["note"]
    assert [word for word in words if word not in said] == []


def test_a_server_that_does_not_answer_or_refuses_is_told_without_a_secret(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = services.connection("clickhouse_default")
    monkeypatch.setenv("AIRFLOW__CHISTA__PAGE_CONNECTIONS", "away,wrong")
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", connection(known, port=1, password="of-nobody"))
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", connection(known, password="of-nobody"))
    browser = enter()
    away, wrong = (browser.get("/api/tables", params={"connection": name}) for name in ("away", "wrong"))
    assert (away.status_code, wrong.status_code) == (503, 502)
    assert "check that the server is up" in away.json()["error"]
    assert "check login and password" in wrong.json()["error"]
    for answer in (away, wrong):
        assert "Traceback" not in answer.text
        assert "of-nobody" not in answer.text
    other = browser.get("/api/tables", params={"connection": "clickhouse_default"})
    assert other.status_code == 502
    assert "is not one of the page" in other.json()["error"]


def connection(known: dict[str, Any], **changed: Any) -> str:
    return json.dumps({**known, **changed})
