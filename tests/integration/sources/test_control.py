"""Markers, snapshot requests and positions."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from airflow_provider_chista.debezium.offsets import reached
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import Marker


@pytest.fixture
def marker() -> str:
    return f"it-{uuid.uuid4().hex}"


def test_a_marker_from_writing_to_removing(schema: Any, marker: str) -> None:
    with schema.source("verify") as source:
        assert source.read_marker(marker) is None
        source.write_marker(marker, "token-1")
        assert source.read_marker(marker) == Marker("token-1", None, 0)
        source.mark_position(marker, source.position())
        found = source.read_marker(marker)
        assert found is not None
        assert found.position is not None
        assert json.loads(found.position)
        source.nudge(marker)
        assert source.read_marker(marker) == Marker("token-1", found.position, found.nudges + 1)
        source.write_marker(marker, "token-2")
        again = source.read_marker(marker)
        assert again is not None
        assert (again.token, again.position) == ("token-2", None)
        source.delete_marker(marker)
        source.delete_marker(marker)
        assert source.read_marker(marker) is None


def test_each_step_of_a_marker_is_committed(schema: Any, marker: str) -> None:
    with schema.source("verify") as writer, schema.source("verify") as reader:
        writer.write_marker(marker, "t")
        assert reader.read_marker(marker) == Marker("t", None, 0)
        writer.nudge(marker)
        assert reader.read_marker(marker) == Marker("t", None, 1)
        writer.delete_marker(marker)


def test_every_write_of_a_marker_moves_the_stream(schema: Any, marker: str) -> None:
    """Also when it writes the same token again: an update that changes nothing would be no event."""
    with schema.source("verify") as source:
        for step in (
            lambda: source.write_marker(marker, "t"),
            lambda: source.write_marker(marker, "t"),
            lambda: source.mark_position(marker, "p"),
            lambda: source.mark_position(marker, "p"),
            lambda: source.nudge(marker),
        ):
            before = source.read_marker(marker)
            step()
            assert source.read_marker(marker) != before
        source.delete_marker(marker)


def test_a_marker_that_is_not_there_cannot_be_marked(schema: Any, marker: str) -> None:
    with schema.source("verify") as source:
        with pytest.raises(FatalError, match="has no row"):
            source.nudge(marker)
        with pytest.raises(FatalError, match="has no row"):
            source.mark_position(marker, "{}")


def test_positions_grow_and_are_those_that_offsets_are_compared_with(schema: Any, marker: str) -> None:
    with schema.source("verify") as source:
        first = json.loads(source.position())
        source.write_marker(marker, "t")
        second = json.loads(source.position())
        source.delete_marker(marker)
    if schema.flavour == "postgres":
        assert second["lsn"] > first["lsn"] > 0
        assert reached("postgres", {"lsn": second["lsn"]}, json.dumps(first))
        assert not reached("postgres", {"lsn": first["lsn"]}, json.dumps(second))
        return
    assert (second["file"], second["pos"]) > (first["file"], first["pos"])
    assert second["gtids"]
    assert not set(second["gtids"]) & set(" \n")
    assert reached(schema.flavour, second, json.dumps(first))
    assert not reached(schema.flavour, first, json.dumps(second))


def test_a_snapshot_is_asked_for_once_per_id(schema: Any) -> None:
    """The type is one that Debezium does not know when the row is checked, so no snapshot of the stack is disturbed."""
    signal_id = f"it-{uuid.uuid4().hex}"
    name = schema.server.quote("chista", "signal")
    with schema.source("verify") as source:
        source.request_snapshot(signal_id, [TableId("no_such_schema", "a"), TableId("no_such_schema", "b")])
        source.request_snapshot(signal_id, [TableId("no_such_schema", "c")])
    ((kind, data),) = schema.server.execute(f"SELECT type, data FROM {name} WHERE id = '{signal_id}'")
    schema.server.execute(f"DELETE FROM {name} WHERE id = '{signal_id}'")
    assert kind == "execute-snapshot"
    assert json.loads(data) == {
        "type": "incremental",
        "data-collections": ["no_such_schema.a", "no_such_schema.b"],
    }


def test_the_set_up_can_be_repeated(schema: Any) -> None:
    with schema.source("verify") as source:
        statements = [part for part in source.setup_sql().split(";\n") if part.strip()]
    schema.server.execute(*statements)


def test_a_source_works_again_after_it_was_closed(schema: Any) -> None:
    source = schema.source("verify")
    assert source.version()
    source.close()
    assert source.version()
    source.close()
    source.close()
