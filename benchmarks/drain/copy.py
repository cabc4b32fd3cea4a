"""The first copy of tables of the employees data set: how fast Debezium reads them, and how far behind the drain is."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from airflow_provider_chista.archive.drain import Drain
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.debezium.settings import DEFAULTS
from airflow_provider_chista.model import TableId
from benchmarks import services
from benchmarks.drain import contestants, events
from benchmarks.drain.events import Events
from benchmarks.drain.race import Entrant, Place, Start, race
from benchmarks.drain.report import Figure, ratio
from stack.demo import extract

TABLES = {
    "employees": "emp_no int PRIMARY KEY, birth_date date NOT NULL, first_name varchar(14) NOT NULL,"
    " last_name varchar(16) NOT NULL, gender varchar(1) NOT NULL, hire_date date NOT NULL",
    "titles": "emp_no int, title varchar(50), from_date date, to_date date, PRIMARY KEY (emp_no, title, from_date)",
    "salaries": "emp_no int, salary int NOT NULL, from_date date, to_date date NOT NULL, PRIMARY KEY (emp_no, from_date)",
}

UNTUNED: dict[str, str | None] = {
    **{key: None for key, _, _ in DEFAULTS if not key.startswith(("topic.creation.", "snapshot.mode"))},
    # The stack's worker compresses for all connectors; a worker as it is shipped does not.
    "producer.override.compression.type": "none",
}
"""The connector without the provider's defaults that make it faster or slower."""


@dataclass
class Progress:
    """When records of a topic came, on the monotonic clock."""

    first: float = 0.0
    last: float = 0.0


def first_copy(rows: int, rounds: int) -> list[Figure]:
    """Per table: Debezium with its own settings, with the provider's, and with the drain running beside it."""
    name = f"bench_copy_{uuid.uuid4().hex[:8]}"
    figures = []
    try:
        events.fill(name, {table: (ddl, "") for table, ddl in TABLES.items()})
        for table in TABLES:
            source = TableId(name, table)
            made = Events(topic_name(name, source), source, _load(source, rows))
            figures += _measured(made, rounds)
    finally:
        events.delete(f"{name}.")
        events.drop_source(name)
    return figures


def _measured(made: Events, rounds: int) -> list[Figure]:
    untuned, ours, drained, behind, visible = [], [], [], [], []
    for number in range(rounds):
        for rates, changed in ((untuned, UNTUNED), (ours, {}))[:: 1 if number % 2 == 0 else -1]:
            events.delete(f"{made.source.schema}.")
            rates.append(made.records / _snapshot(made, changed))
        # The topic as either snapshot left it: the same events.
        drained += race([Entrant("drain", contestants.drain, made)], 1)["drain"].rates
        events.delete(f"{made.source.schema}.")
        more = race([Entrant("whole", whole, made)], 1)["whole"].more[0]
        behind.append(more["visible"] - more["captured"])
        visible.append(more["visible"])
        print(f"  {made.source.name}: untuned {untuned[-1]:,.0f}, ours {ours[-1]:,.0f} events/s", flush=True)
    table = f"{made.source.name}, {made.records:,} rows"
    return [
        Figure(f"{table}: Debezium with its own defaults", untuned, "events/s"),
        Figure(f"{table}: Debezium with the provider's", ours, "events/s"),
        ratio(f"{made.source.name}: the provider's to its own", ours, untuned, least=2.0),
        Figure(f"{made.source.name}: drain of the same topic", drained, "events/s"),
        ratio(f"{made.source.name}: drain to Debezium", drained, ours, least=1.0),
        Figure(f"{made.source.name}: source to visible, drained meanwhile", visible, "s"),
        Figure(f"{made.source.name}: visible after Debezium's last record", behind, "s"),
    ]


def whole(place: Place, start: Start) -> Mapping[str, float]:
    """A new connector, and drains one after another until all rows are visible."""
    client = services.clickhouse()
    control, sink = Control(client, place.control), contestants.sink_of(place, client)
    topic, kafka = place.events.topic, services.kafka()
    progress = Progress()
    start()
    started = time.monotonic()
    with events.connector(place.events.source.schema, [place.events.source]):
        watcher = threading.Thread(target=_watch, args=(topic, place.limit, progress), daemon=True)
        watcher.start()
        drained = 0
        while drained < place.limit:
            if topic in kafka.describe_existing([topic]):
                report = Drain(kafka, control, sink, str(place.target)).run(topic)
                drained = sum(report.next_offsets.values())
            time.sleep(0.1)
        visible = time.monotonic()
        watcher.join(60)
    return {"visible": visible - started, "captured": progress.last - started}


def _snapshot(made: Events, changed: Mapping[str, str | None]) -> float:
    """Seconds from the first record of a snapshot to the last; the connector's start is not Debezium's speed."""
    progress = Progress()
    with events.connector(made.source.schema, [made.source], changed):
        _watch(made.topic, made.records, progress)
    return progress.last - progress.first


def _watch(topic: str, records: int, progress: Progress) -> None:
    deadline = time.monotonic() + events.SNAPSHOT_SECONDS
    while time.monotonic() < deadline:
        found = events.records(topic)
        if found and not progress.first:
            progress.first = time.monotonic()
        if found >= records:
            progress.last = time.monotonic()
            return
        time.sleep(0.05)
    raise SystemExit(f"{topic} did not get its {records} records")


def _load(source: TableId, rows: int) -> int:
    """Fill a table; the number of its rows."""
    with closing(services.source_connection("postgres")) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY {source} FROM STDIN") as copy:
            for row in islice(_lines(source.name), rows):
                copy.write_row(row)
        loaded = int(cursor.rowcount)
        connection.commit()
        connection.autocommit = True
        cursor.execute(f"ANALYZE {source}")
    return loaded


def _lines(table: str) -> Iterator[list[str]]:
    """The data set in the folder that ``CHISTA_EMPLOYEES`` names; else the demo's extract of it, over and over with
    higher numbers of the employees.
    """
    folder = os.environ.get("CHISTA_EMPLOYEES")
    for turn in count() if not folder else range(1):
        lines = extract.read(Path(folder) if folder else extract.DATA, table)
        next(lines)
        for emp_no, *others in lines:
            yield [str(int(emp_no) + 500_000 * turn), *others]
