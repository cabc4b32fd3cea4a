"""What can be wrong with Avro and its registry: named, stopped or set aside, and never archived as something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from airflow_provider_chista.archive.deadletters import Letters, open_letters
from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.purgelog import PurgeLogSink
from airflow_provider_chista.archive.replay import Replay, ReplayReport
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import Table
from tests.integration.avro.conftest import Opened
from tests.integration.support import avro, services
from tests.integration.support.engines import Connector
from tests.integration.support.ports import free_port
from tests.integration.support.streams import TABLE, WIDER, Stream, key, names, value
from tests.integration.support.tasks import line

Streams = Callable[..., Stream]


def test_one_damaged_record_is_one_dead_letter_and_is_kept_as_it_was(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(captured, "damaged")
    archive.snapshot()
    topic = archive.table_drain().topic
    (records,) = archive.capture.kafka.read(topic, {0: (19, 20)})
    whole, record_key = records.values[0], records.keys[0]
    producer = services.producer()
    damaged = [whole[:-3], whole + b"\0", whole[:6] + b"\x7f" + whole[7:], whole[:5], b"\0\0"]
    for each in damaged:
        producer.produce(topic, key=record_key, value=each)
    assert producer.flush(30) == 0
    captured.engine.execute(f"UPDATE {archive.id} SET name = 'changed' WHERE id = 5")
    summary = archive.drain()
    assert (summary["op_r"], summary["op_u"], summary["op_dead"]) == (20, 1, len(damaged))
    kept = archive.control.rows(
        f"SELECT hex(key) AS key, hex(value) AS value, error FROM {archive.control.name('dead_letters')} FINAL"
        " WHERE target = {t:String} ORDER BY offset",
        {"t": str(archive.target)},
    )
    assert [bytes.fromhex(row["value"]) for row in kept] == damaged
    assert {bytes.fromhex(row["key"]) for row in kept} == {record_key}
    assert [row["error"] for row in kept if "is not of its schema" not in row["error"]] == [
        "the record is not Avro; where the connector writes JSON, schema_registry_conn_id must be left out"
    ]
    assert archive.shown() == archive.in_source()


def sent(stream: Streams, *values: bytes, **options: object) -> Stream:
    made = stream(avro=True, **options).create()
    made.send(*values)
    return made


def test_a_schema_that_the_registry_does_not_have_stops_the_drain_before_anything_is_written(
    stream: Streams,
) -> None:
    made = sent(stream, *names(3))
    producer = services.producer()
    producer.produce(made.topic, key=key(9), value=b"\0\x7f\xff\xff\xff\x02")
    assert producer.flush(30) == 0
    made.send(*names(2, start=20))
    with pytest.raises(FatalError, match=r"has no schema 2147483647.*Restore it"):
        made.drain()
    assert (made.shown(), made.dead_letters(), made.positions()) == ({}, [], {0: 0})


def test_a_schema_of_another_table_stops_the_drain(stream: Streams) -> None:
    """An id that a registry without its data gave anew."""
    made, other = sent(stream, *names(1)), sent(stream, *names(1))
    number = other.kafka.read(other.topic, {0: (0, 1)})
    record = next(number).values[0]
    assert record is not None
    changed = avro.value_of(f"{other.prefix}.s.another", value("c", 5, "other"))
    producer = services.producer()
    producer.produce(made.topic, key=key(9), value=changed)
    assert producer.flush(30) == 0
    with pytest.raises(FatalError, match=r"is of .*\.s\.another\.Envelope, not of s\.t\.Envelope"):
        made.drain()
    assert made.shown() == {}


def test_a_registry_that_is_down_is_waited_for(stream: Streams) -> None:
    made = sent(stream, *names(3))
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TransientError, match=r"could not be read: .*refused.*check that it runs"):
        made.drain(avro=avro.reader(url, patience=0.5))
    assert (made.shown(), made.positions()) == ({}, {0: 0})
    with line(services.stack().ports["registry"]) as cut:
        cut.cut()
        reader = avro.reader(f"http://127.0.0.1:{cut.port}", patience=0.5)
        with pytest.raises(TransientError, match="could not be read"):
            made.drain(avro=reader)
        cut.mend()
        assert made.drain(avro=reader)["op_c"] == 3
        # Known schemas need no registry.
        cut.cut()
        made.send(*names(2, start=10))
        assert made.drain(avro=reader)["op_c"] == 2
    assert len(made.shown()) == 5


def test_what_is_no_registry_is_named(stream: Streams) -> None:
    made = sent(stream, *names(1))
    with pytest.raises(FatalError, match="as no Apicurio registry does"):
        made.drain(avro=avro.reader(services.stack().clickhouse_url))


def test_each_format_that_is_read_as_the_other_is_refused_with_the_setting_that_is_wrong(
    stream: Streams,
) -> None:
    binary, text = sent(stream, *names(3)), stream().create()
    text.send(*names(3))
    with pytest.raises(FatalError, match=r"the records are Avro: give schema_registry_conn_id"):
        binary.drain(avro=None)
    with pytest.raises(FatalError, match=r"the records are not Avro.*leave schema_registry_conn_id out"):
        text.drain(avro=avro.reader())
    for made in (binary, text):
        assert (made.shown(), made.dead_letters(), made.positions()) == ({}, [], {0: 0})
        made.drain()
        assert len(made.shown()) == 3


def test_so_is_a_purge_log(stream: Streams) -> None:
    made = sent(stream, *names(1), policy=DeletePolicy.ARCHIVE)
    services.create_topic(made.log_topic)
    made.send_log(("g:1", "b", "1"))
    stand = made.barrier()
    with pytest.raises(FatalError, match=r"the records are Avro: give schema_registry_conn_id"):
        made.drain(stand, avro=None)
    text = stream(policy=DeletePolicy.ARCHIVE).create()
    text.send(*names(1))
    services.create_topic(text.log_topic)
    text.send_log(("g:1", "b", "1"))
    with pytest.raises(FatalError, match=r"the record is not Avro.*schema_registry_conn_id must be left out"):
        text.drain(text.barrier(), avro=avro.reader())
    assert PurgeLogSink(made.control, "chista").avro is None


def replayed(made: Stream, table: Table = TABLE) -> ReplayReport:
    sink = TableSink(
        made.client, made.control, made.types, table, made.target, made.policy, task="mending", avro=avro.reader()
    )  # fmt: skip
    return Replay(sink, Letters(made.target), Author("mending", "run 1", "replay", 1)).run()


def test_a_dead_letter_in_avro_is_replayed(stream: Streams) -> None:
    made = stream(avro=True, table=WIDER).create()
    first = [value("c", 1, "one", more=1), value("c", 2, "two", more=2)]
    made.send(*first)
    columns = tuple(replace(column, nullable=column.name != "name") for column in WIDER.columns)
    narrow = replace(WIDER, columns=columns)
    made.send(value("c", 3, None, more=3), value("u", 1, "newer", more=4))
    limits = DrainLimits(dead_letter_share=1.0)
    made.drain(table=narrow, limits=limits)
    assert made.shown() == {1: "newer", 2: "two"}
    assert [letter["state"] for letter in made.dead_letters()] == ["open"]
    assert replayed(made, WIDER).summary() == {"replayed": 1, "still_open": 0, "first_error": ""}
    assert made.shown() == {1: "newer", 2: "two", 3: None}
    assert open_letters(made.control, made.target) is None


def test_the_registry_of_the_tests_is_the_one_that_is_documented() -> None:
    answer = httpx.get(f"{services.stack().registry_url}/apis/registry/v2/system/info", timeout=30).json()
    assert answer["version"] == services.stack().versions["APICURIO_VERSION"]
