"""Records as Apicurio's converter writes them, made from JSON by a library that the provider does not use."""

from __future__ import annotations

import io
import json
import socket
import struct
from functools import cache
from typing import Any

import fastavro
import httpx
import pytest

from airflow_provider_chista.debezium.avro import AvroReader
from airflow_provider_chista.debezium.registry import SchemaRegistryClient
from tests.integration.support import services

_KINDS: dict[str, Any] = {
    "id": "int", "name": ["null", "string"], "day": ["null", "int"], "more": ["null", "int"],
    "batch_id": "string", "table_name": "string", "row_key": "string", "row_hash": "string",
}  # fmt: skip
"""Avro types of the columns of ``streams.py``."""


@cache
def require_registry() -> None:
    """Skip where the stack was started without its schema registry; ``stack test`` always starts it."""
    try:
        socket.create_connection(("127.0.0.1", services.stack().ports["registry"]), timeout=5).close()
    except OSError:
        pytest.skip("no schema registry: python3 -m stack up --only all,registry")


def reader(url: str | None = None, **options: Any) -> AvroReader:
    """What the hooks make for tasks; by default of the stack's registry."""
    require_registry()
    return AvroReader(SchemaRegistryClient(url or services.stack().registry_url, **options).schema)


@cache
def registered(subject: str, schema: str) -> int:
    """The id of a schema, which the registry has from now on."""
    require_registry()
    answer = httpx.post(
        f"{services.stack().registry_url}/apis/ccompat/v7/subjects/{subject}/versions",
        json={"schema": schema},
        timeout=30,
    )
    return int(answer.raise_for_status().json()["id"])


@cache
def parsed(schema: str) -> Any:
    return fastavro.parse_schema(json.loads(schema))


def written(subject: str, schema: dict[str, Any], record: Any) -> bytes:
    """A record in Confluent's frame."""
    text = json.dumps(schema)
    stream = io.BytesIO(struct.pack(">bI", 0, registered(subject, text)))
    stream.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(stream, parsed(text), record, strict=True)
    return stream.getvalue()


def key_of(topic: str, text: bytes) -> bytes:
    """The key of a record of a topic."""
    return written(f"{topic}-key", _record("Key", topic, {"id": "int"}), json.loads(text))


def value_of(topic: str, text: bytes) -> bytes:
    """The value of a record of a topic, from its JSON."""
    event = json.loads(text)
    row = {column: _KINDS[column] for column in event["after"] or {"id": 0, "name": "", "day": 0}}
    source = {"connector": "string", "ts_ms": "long", "gtid": ["null", "string"], "txId": ["null", "long"]}
    envelope = {
        "before": ["null", _record("Value", "", row)],
        "after": ["null", "Value"],
        "source": _record("Source", "io.debezium.connector.mysql", source),
        "op": "string",
        "ts_ms": ["null", "long"],
    }
    if event["after"]:
        event["after"] = {adjusted(column): held for column, held in event["after"].items()}
    told = {name: held for name, held in event["source"].items() if name != "snapshot"}
    event["source"] = {"gtid": None, "txId": None, **told}
    return written(f"{topic}-value", _record("Envelope", topic, envelope), event)


def adjusted(name: str) -> str:
    """As Debezium does, of letters, dots and underscores."""
    return name.replace("_", "_u005f")


def _record(name: str, namespace: str, fields: dict[str, Any]) -> dict[str, Any]:
    own = {"namespace": adjusted(namespace)} if namespace else {}
    names = {field: adjusted(field) if name == "Value" else field for field in fields}
    return {
        "type": "record",
        "name": name,
        **own,
        "fields": [{"name": names[field], "type": kind} for field, kind in fields.items()],
    }
