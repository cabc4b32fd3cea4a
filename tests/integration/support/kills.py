"""Drains that are killed: a process of its own per drain, which dies at a chosen place or moment; and what it drains."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.archive.sinks import DeletePolicy
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.control import Control
from tests.integration.support import services
from tests.integration.support.streams import Stream, key, value

CHAPTER = 100
"""Records of each partition that are sent at a time."""

_REQUESTS = ("raw_insert", "command", "query")


@dataclass(frozen=True)
class Kill:
    """Where a drain dies by SIGKILL.

    :param request: number of the request to ClickHouse, from 0 on; None: at a moment instead.
    :param place: ``before`` the request is sent, ``after`` it was acknowledged, or some time ``during`` it.
    :param seconds: how long after the request was begun (``during``), or after the process was.
    :param batch_rows: records of a micro-batch of that drain: without a plan no two drains cut the same batches.
    """

    request: int | None
    place: str
    seconds: float
    batch_rows: int

    @classmethod
    def drawn(cls, chance: random.Random) -> Kill:
        """Nine of ten at one of the first requests, one at any moment from the fork on."""
        rows = chance.randrange(20, 60)
        if chance.random() < 0.1:
            return cls(None, "moment", chance.random() * 0.25, rows)
        place = chance.choice(("before", "after", "during"))
        return cls(chance.randrange(chance.choice((14, 14, 14, 40))), place, chance.random() * 0.006, rows)

    def arm(self, client: Client) -> None:
        """Let the process that calls this die there."""
        if self.request is None:
            return
        requests = iter(range(10**9))

        def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
            def request(*args: Any, **kwargs: Any) -> Any:
                chosen = next(requests) == self.request
                if chosen and self.place == "before":
                    die()
                if chosen and self.place == "during":
                    threading.Timer(self.seconds, die).start()
                result = original(*args, **kwargs)
                if chosen and self.place == "after":
                    die()
                return result

            return request

        for name in _REQUESTS:
            setattr(client, name, wrapped(getattr(client, name)))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


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
def nursery(place: Place) -> Iterator[Callable[[Kill], bool]]:
    """A warm process that forks one drain after the other; what it gives tells whether a drain was killed.

    Not multiprocessing's: each of its processes imports the main module, pytest.
    """
    command = [sys.executable, "-m", __name__, json.dumps(asdict(place))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        orders, answers = process.stdin, process.stdout

        def drain_and_die(kill: Kill) -> bool:
            print(json.dumps(asdict(kill)), file=orders, flush=True)
            code = int(answers.readline())
            assert code in (0, -signal.SIGKILL), code
            return code != 0

        yield drain_and_die
        orders.close()


def _nurse(place: Place) -> None:
    client = services.clickhouse()
    known = place.open(client)
    client.close()
    for line in sys.stdin:
        kill = Kill(**json.loads(line))
        pid = os.fork()
        if not pid:
            _drain(place, known, kill)
        if kill.request is None:
            time.sleep(kill.seconds)
            os.kill(pid, signal.SIGKILL)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


def _drain(place: Place, known: Stream, kill: Kill) -> NoReturn:
    """Body of the forked process."""
    code = 1
    try:
        client = unreduced()
        kill.arm(client)
        stream = copy(known)
        stream.client, stream.control = client, Control(client, place.control)
        stream.drain(stream.barrier(), limits=DrainLimits(batch_rows=kill.batch_rows))
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


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


if __name__ == "__main__":
    _nurse(Place(**json.loads(sys.argv[1])))
