"""Rows of ten megabytes, rows of hundreds of columns, and a row that is larger than a record may be."""

from __future__ import annotations

import hashlib
import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from airflow_provider_chista.archive.barrier import ConnectorFailedError
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import sql
from tests.integration.events.conftest import (
    BIGGEST,
    COLUMNS,
    MEGABYTE,
    Opened,
    drain_all,
    require_same,
    wide_types,
)
from tests.integration.support import services
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector, wait_for

TEXTS = {
    1: "é" * (BIGGEST // 2),
    3: "".join(random.Random(3).choices("\x01\t\n\"'\\%{}~|:ñ字😀", k=3_000_000)),
}
BYTES = {2: random.Random(2).randbytes(BIGGEST), 4: b"\x00" * BIGGEST}


def digests(archive: Archive) -> dict[int, tuple[int, str | None, str | None]]:
    """Number and SHA-256 of text and bytes of each visible row, computed by ClickHouse."""
    rows = archive.client.query(
        f"SELECT id, n, lower(hex(SHA256(t))), lower(hex(SHA256(b))) FROM {sql.table(archive.target)} FINAL"
    ).result_rows
    return {row[0]: tuple(row[1:]) for row in rows}


def digest(value: bytes | None) -> str | None:
    return None if value is None else hashlib.sha256(value).hexdigest()


def test_rows_of_ten_megabytes_are_archived_proven_and_purged(captured: Connector, opened: Opened) -> None:
    archive = opened(captured, "big", limits=DrainLimits(batch_rows=2))
    table = archive.id
    archive.snapshot()
    for row_id, text, raw in ((2, None, BYTES[2]), (3, TEXTS[3], None), (4, None, BYTES[4])):
        captured.engine.execute(f"INSERT INTO {table} VALUES (%s, 0, %s, %s)", many=[(row_id, text, raw)])
    # Twice the row in one record on MySQL and MariaDB; on PostgreSQL the big values are left out.
    captured.engine.execute(
        f"UPDATE {table} SET n = 1 WHERE id IN (3, 4)", f"UPDATE {table} SET t = 'short' WHERE id = 4"
    )
    archive.drain()
    texts: dict[int, str] = {**TEXTS, 4: "short"}
    expected = {
        row_id: (
            int(row_id > 2),
            digest(texts[row_id].encode() if row_id in texts else None),
            digest(BYTES.get(row_id)),
        )
        for row_id in (1, 2, 3, 4)
    }
    assert digests(archive) == expected
    proof = archive.verify()
    assert proof.rows == 4
    archive.approve(proof)
    assert archive.purge(txn_size=2).deleted == 4
    assert captured.engine.query(f"SELECT id FROM {table}") == []
    summary = archive.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (4, 0)
    assert digests(archive) == expected
    assert archive.seal().rows == 4


def values(chance: random.Random, flavour: str, kind: str) -> Any:
    """A random value of a type of the wide table."""
    if kind in ("DOUBLE", "DOUBLE PRECISION"):
        return chance.choice((0.0, -1.5, 1e300, 5e-324, chance.random(), chance.uniform(-1e20, 1e20)))
    made = {
        "INT": lambda: chance.randint(-(2**31), 2**31 - 1),
        "BIGINT": lambda: chance.randint(-(2**63), 2**63 - 1),
        "SMALLINT": lambda: chance.randint(-(2**15), 2**15 - 1),
        "DECIMAL(20, 5)": lambda: Decimal(chance.randint(-(10**20) + 1, 10**20 - 1)).scaleb(-5),
        "VARCHAR(30)": lambda: "".join(chance.choices("aB|~:'\"\\ é字😀\t", k=chance.randint(0, 30))),
        "CHAR(10)": lambda: "x" + "".join(chance.choices("ab é", k=8)) + "x",
        "DATE": lambda: date(1900, 1, 1) + timedelta(days=chance.randint(0, 80_000)),
        "TIME": lambda: time(chance.randint(0, 23), chance.randint(0, 59), chance.randint(0, 59)),
        "BOOLEAN": lambda: chance.random() < 0.5,
        "JSON": lambda: chance.choice(('{"a": [1, null, "ü"]}', "[]", '"text"', "12345678901234567890")),
    }.get(kind)
    if made:
        return made()
    if kind in ("LONGTEXT", "TEXT"):
        return "".join(chance.choices("text \n\\'\"é😀", k=chance.randint(0, 60)))
    if kind in ("LONGBLOB", "BYTEA"):
        return chance.randbytes(chance.randint(0, 40))
    return datetime(1970, 1, 1) + timedelta(microseconds=chance.randint(0, 10**15))  # noqa: DTZ001


def test_rows_of_300_columns_are_archived_proven_and_purged(captured: Connector, opened: Opened) -> None:
    flavour = captured.engine.flavour
    archive = opened(captured, "wide")
    chance, types = random.Random(300), wide_types(flavour)
    rows = []
    for row_id in range(20):
        row: list[Any] = [row_id]
        for i in range(1, COLUMNS):
            is_null = i % 7 != 0 and chance.random() < 0.2
            row.append(None if is_null else values(chance, flavour, types[i % len(types)]))
        rows.append(row)
    places = ", ".join(["%s"] * COLUMNS)
    captured.engine.execute(f"INSERT INTO {archive.id} VALUES ({places})", many=rows)
    captured.engine.execute(
        f"UPDATE {archive.id} SET c1 = 7, c299 = NULL WHERE c0 < 3",
        f"UPDATE {archive.id} SET c0 = -1 WHERE c0 = 5",
    )
    archive.drain()
    found = require_same(archive)
    assert len(found) == 20
    assert {len(row) for row in found.values()} == {COLUMNS}
    # By value too, of the types that both drivers give alike.
    kept = [
        i
        for i in range(COLUMNS)
        if types[i % len(types)] in ("INT", "BIGINT", "SMALLINT", "DECIMAL(20, 5)", "VARCHAR(30)")
    ]
    names = ", ".join(f"c{i}" for i in kept if i)
    shown = archive.client.query(f"SELECT c0, {names} FROM {sql.table(archive.target)} FINAL").result_rows
    by_id = {row[0]: row[1:] for row in shown}
    for row in rows:
        if row[0] > 5:
            assert by_id[row[0]] == tuple(row[i] for i in kept if i)
    proof = archive.verify()
    archive.approve(proof)
    assert archive.purge().deleted == proof.rows == 20


def test_a_proof_of_400_floats_is_not_too_long_for_clickhouse(captured: Connector, opened: Opened) -> None:
    archive = opened(captured, "floats")
    chance = random.Random(400)
    rows = [(row_id, *(chance.uniform(-1e9, 1e9) for _ in range(400))) for row_id in range(5)]
    places = ", ".join(["%s"] * 401)
    captured.engine.execute(f"INSERT INTO {archive.id} VALUES ({places})", many=rows)
    archive.drain()
    assert len(require_same(archive)) == archive.verify().rows == 5


def test_a_row_larger_than_a_record_stops_the_connector_and_is_not_lost(opened: Opened) -> None:
    with connector("postgres", {"big": "CREATE TABLE {schema}.big (id INT PRIMARY KEY, t TEXT)"}) as made:
        made.register(max_record_bytes=MEGABYTE)
        archive = opened(made, "big")
        archive.snapshot()
        made.engine.execute(f"INSERT INTO {archive.id} VALUES (1, 'small')")
        archive.drain()
        made.engine.execute(
            f"INSERT INTO {archive.id} VALUES (2, repeat('x', {2 * MEGABYTE}))",
            f"INSERT INTO {archive.id} VALUES (3, 'behind it')",
        )
        wait_for(lambda: made.connect.status(made.name).failed)
        cause = r"RecordTooLargeException.*larger than 1048576, which is the value of the max.request.size"
        with pytest.raises(ConnectorFailedError, match=cause):
            archive.drain()
        assert [row[0] for row in archive.shown()] == [1]

        made.register(max_record_bytes=4 * MEGABYTE)
        topic = ConfigResource(
            ResourceType.TOPIC,
            archive.table_drain().topic,
            incremental_configs=[
                ConfigEntry(
                    "max.message.bytes", str(4 * MEGABYTE), incremental_operation=AlterConfigOpType.SET
                )
            ],
        )
        admin = services.kafka().admin()
        for future in admin.incremental_alter_configs([topic]).values():
            future.result()
        made.connect.restart(made.name)
        wait_for(lambda: made.connect.status(made.name).running)
        drain_all(archive)
        assert [(row[0], len(row[1])) for row in archive.shown()] == [(1, 5), (2, 2 * MEGABYTE), (3, 9)]
        assert archive.verify().rows == 3
