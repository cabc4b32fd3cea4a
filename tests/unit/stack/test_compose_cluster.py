from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from stack import drift, drift_cluster
from stack.settings import ROOT, Stack

Model = dict[str, Any]


@pytest.fixture(scope="module")
def model() -> Model:
    return drift.load(ROOT)


def test_the_replicas_are_the_stacks_clickhouse(model: Model):
    assert drift_cluster.differences(model, Stack()) == []


def test_no_port_is_published_twice(model: Model):
    ports = [port for each in drift.containers(model, ROOT).values() for _, port, _ in each.ports]
    assert len(ports) == len(set(ports))


def replica(model: Model) -> Model:
    return model["services"]["clickhouse-2"]


def a_replica_less(model: Model) -> None:
    del model["services"]["clickhouse-2"]


def another_image(model: Model) -> None:
    replica(model)["image"] = "clickhouse/clickhouse-server:25.8"


def started_with_the_stack(model: Model) -> None:
    del replica(model)["profiles"]


def no_health_check(model: Model) -> None:
    del model["services"]["clickhouse-keeper"]["healthcheck"]


def a_volume_of_nowhere(model: Model) -> None:
    del model["volumes"]["clickhouse-2"]


def a_file_less(model: Model) -> None:
    replica(model)["volumes"].pop()


def a_setting_less(model: Model) -> None:
    del replica(model)["environment"]["CHISTA_INTERSERVER_PORT"]


def another_password(model: Model) -> None:
    replica(model)["environment"]["CHISTA_CLICKHOUSE_PASSWORD"] = "another"


def the_others_name(model: Model) -> None:
    replica(model)["environment"]["CHISTA_CLICKHOUSE_REPLICA"] = "clickhouse-1"


def another_place(model: Model) -> None:
    replica(model)["environment"]["CHISTA_CLICKHOUSE_HOST_1"] = "clickhouse"


def the_others_port(model: Model) -> None:
    replica(model)["ports"] = model["services"]["clickhouse-1"]["ports"]


def a_port_for_everyone(model: Model) -> None:
    replica(model)["ports"] = ["20223:8123"]


def another_keeper(model: Model) -> None:
    replica(model)["environment"]["CHISTA_KEEPER_PORT"] = 2181


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (a_replica_less, "clickhouse-2: is not there"),
        (another_image, "clickhouse-2: image"),
        (started_with_the_stack, "clickhouse-2: is not of the profile"),
        (no_health_check, "clickhouse-keeper: has no health check"),
        (a_volume_of_nowhere, "clickhouse-2: volume clickhouse-2 is not declared"),
        (a_file_less, "clickhouse-2: mounts"),
        (a_setting_less, "ask for ['CHISTA_INTERSERVER_PORT']"),
        (another_password, "['CHISTA_CLICKHOUSE_PASSWORD'] differ"),
        (the_others_name, "clickhouse-2: CHISTA_CLICKHOUSE_REPLICA"),
        (another_place, "clickhouse-2: replica 1 is at"),
        (the_others_port, "the replicas publish the same port"),
        (a_port_for_everyone, "clickhouse-2: does not publish port 8123 on loopback"),
        (another_keeper, "clickhouse-2: the Keeper is not where it listens"),
    ],
)
def test_what_drifts_apart_is_named(model: Model, damage: Callable[[Model], None], named: str):
    damaged = copy.deepcopy(model)
    damage(damaged)
    found = drift_cluster.differences(damaged, Stack())
    assert [difference for difference in found if named in difference] != []
