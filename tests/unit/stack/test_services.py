from __future__ import annotations

import threading

import pytest

from stack.errors import StackError
from stack.launcher import _STOP_ORDER, _in_order
from stack.ports import OFFSETS
from stack.services import GROUPS, OPTIONAL, SERVICES, chosen, named, select
from stack.settings import Stack


def test_a_selection_brings_what_it_needs():
    assert [service.name for service in select("connect")] == ["kafka", "connect"]
    assert [service.name for service in select("airflow-api")] == ["postgres", "airflow-api"]
    assert [service.name for service in select(" clickhouse , sources")] == [
        "clickhouse",
        "mysql",
        "mariadb",
        "postgres",
    ]
    assert select("") == []


def test_an_unknown_service_is_refused_with_the_names_there_are():
    with pytest.raises(
        StackError, match="no service is called 'kafak'; there are kafka, connect, registry, clickhouse"
    ):
        select("mysql,kafak")


def test_groups_hold_all_services_but_those_that_are_asked_for_by_name():
    assert {member for members in GROUPS.values() for member in members} == set(SERVICES) - set(OPTIONAL)
    assert "registry" not in {service.name for service in select("all")}
    assert "registry" in {service.name for service in select("data,registry")}
    assert [service.name for service in named("sources")] == ["mysql", "mariadb", "postgres"]


def test_celery_brings_its_worker_and_redis_beside_a_scheduler():
    celery = Stack(overrides={"CHISTA_EXECUTOR": "celery"})
    assert {service.name for service in chosen(celery, "all")} - {
        service.name for service in chosen(Stack(), "all")
    } == {"redis", "airflow-worker"}
    assert chosen(celery, "data") == select("data")


def test_every_listener_belongs_to_one_service():
    ports = [port for service in SERVICES.values() for port in service.ports]
    # Airflow's log servers are not started; their ports are set so that two stacks would not share them.
    assert sorted(ports) == sorted(set(OFFSETS) - {"airflow_worker_logs", "airflow_triggerer_logs"})


def test_services_stop_after_their_consumers():
    place = {name: wave for wave, names in enumerate(_STOP_ORDER) for name in names}
    assert set(place) == set(SERVICES)
    for service in SERVICES.values():
        assert [needed for needed in service.after if place[needed] <= place[service.name]] == []


def test_services_start_after_those_they_need_and_the_rest_at_once():
    done: list[str] = []
    together = threading.Barrier(2, timeout=10)

    def action(service):
        if service.name in ("kafka", "postgres"):
            together.wait()
        done.append(service.name)

    _in_order(select("connect,airflow-api"), action)
    assert done.index("kafka") < done.index("connect")
    assert done.index("postgres") < done.index("airflow-api")


def test_a_service_that_fails_stops_those_that_need_it():
    started: list[str] = []

    def action(service):
        started.append(service.name)
        raise StackError(f"{service.name} is broken")

    with pytest.raises(StackError, match="kafka is broken"):
        _in_order(select("connect"), action)
    assert started == ["kafka"]
