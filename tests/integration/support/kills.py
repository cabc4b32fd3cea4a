"""Drains that are killed: a process of its own per drain, which dies at a chosen place or moment; and what it drains."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.control import Control
from tests.integration.support import services
from tests.integration.support.nursery import KILLED, Body, Counted, Kill, nursery
from tests.integration.support.streams import Stream, key, value

CHAPTER = 100
"""Records of each partition that are sent at a time."""

_REQUESTS = ("raw_insert", "command", "query")


@dataclass(frozen=True)
class Place:
    """What a process needs to open a stream again."""

    database: str
    control: str
    prefix: str
    name: str
    policy: str
    avro: bool = False

    def open(self, client: Client) -> Stream:
        return Stream(
            client, Control(client, self.control), self.database, self.prefix, self.name,
            policy=DeletePolicy(self.policy), avro=self.avro,
        )  # fmt: skip


def unreduced() -> Client:
    """A client whose inserts store each version of a row, also of rows that have several in one block."""
    return services.clickhouse(optimize_on_insert=0)


@contextmanager
def drains(place: Place) -> Iterator[Callable[[random.Random], bool]]:
    """Runs drains of micro-batches that no other drain cuts alike; what it gives tells whether a drain was killed.

    Nine of ten die at one of the first requests to ClickHouse, one at any moment from the fork on.
    """
    with nursery(__name__, asdict(place)) as fork:

        def drain_and_die(chance: random.Random) -> bool:
            rows = chance.randrange(20, 60)
            if chance.random() < 0.1:
                kill = Kill.some_time(chance, 0.25)
            else:
                kill = Kill.at(chance.randrange(chance.choice((14, 14, 14, 40))), chance)
            code = fork(
                {"kill": asdict(kill), "batch_rows": rows}, kill.seconds if kill.request is None else None
            )
            assert code in (0, KILLED), code
            return code != 0

        yield drain_and_die


def nurse(given: dict[str, Any]) -> Body:
    """The drains of :func:`drains`."""
    place = Place(**given)
    client = services.clickhouse()
    known = place.open(client)
    client.close()

    def drain(order: dict[str, Any]) -> int:
        client = unreduced()
        Counted(Kill(**order["kill"])).watch(client, *_REQUESTS)
        stream = copy(known)
        stream.client, stream.control = client, Control(client, place.control)
        stream.drain(stream.barrier(), limits=DrainLimits(batch_rows=order["batch_rows"]))
        return 0

    return drain


@dataclass
class Story:
    """Events of a table whose keys are split over two partitions by parity, sent chapter by chapter.

    :param sent: per partition, by offset: operation (``u`` for all that store a row, ``d``, ``dead``, ``tombstone``), key
        and name.
    """

    stream: Stream
    chance: random.Random
    sent: dict[int, list[tuple[str, int, str]]] = field(default_factory=lambda: {0: [], 1: []})
    live: set[int] = field(default_factory=set)

    def tell(self) -> None:
        """Send a chapter."""
        for partition, told in self.sent.items():
            values: list[bytes | None] = []
            keys: list[bytes] = []
            for _ in range(CHAPTER):
                number = 2 * self.chance.randrange(150) + partition
                op = self.chance.choices(("u", "d", "tombstone", "dead"), (60, 25, 5, 2))[0]
                if op == "d" and number not in self.live:
                    op = "u"
                name = f"{op}{len(told)}"
                if op == "tombstone":
                    values.append(None)
                elif op == "dead":
                    values.append(b"broken")
                else:
                    event = "c" if op == "u" and number not in self.live else op
                    values.append(value(event, number, name, tx=f"g:{partition}-{len(told)}"))
                    (self.live.discard if op == "d" else self.live.add)(number)
                keys.append(key(number))
                told.append((op, number, name))
            self.stream.send(*values, partition=partition, keys=keys)

    def expected(self, positions: Mapping[int, int]) -> Counter[str]:
        """How many records of each operation lie before positions."""
        return Counter(
            op for partition, told in self.sent.items() for op, _, _ in told[: positions.get(partition, 0)]
        )


def stored_before(stream: Stream, positions: Mapping[int, int]) -> Counter[str]:
    """What ClickHouse holds of the records before positions; rows counted as often as they are stored."""
    parameters = {"t": str(stream.target), "p0": positions.get(0, 0), "p1": positions.get(1, 0)}
    control, position = stream.control, "if(partition = 0, {p0:UInt64}, {p1:UInt64})"
    rows = control.rows(
        f"SELECT 'u' AS op, count() AS n FROM {sql.table(stream.target)} WHERE _chista_op != 'd'"
        " AND bitShiftRight(_chista_version, 4) < if(id % 2 = 0, {p0:UInt64}, {p1:UInt64})"
        f" UNION ALL SELECT 'd', count() FROM {control.name('deletes')} FINAL"
        f" WHERE target = {{t:String}} AND offset < {position}"
        f" UNION ALL SELECT 'dead', count() FROM {control.name('dead_letters')} FINAL"
        f" WHERE target = {{t:String}} AND offset < {position}",
        parameters,
    )
    return Counter({row["op"]: row["n"] for row in rows})
