"""A drain's memory is bounded by its settings, whatever waits in the topic."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.integration.support import services
from tests.integration.support.streams import Stream, key, value

Streams = Callable[..., Stream]
MEGABYTE = 2**20


def peak(made: Stream) -> dict[str, int]:
    """Records and peak of resident memory, in MiB, of a drain in a new process."""
    arguments = [made.database, made.control.database, made.prefix]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.support.memory", *arguments],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_rows_of_ten_megabytes_take_less_than_400_mb(stream: Streams) -> None:
    made = stream().create(**{"max.message.bytes": str(16 * MEGABYTE)})
    producer = services.producer(**{"message.max.bytes": 16 * MEGABYTE})
    for number in range(40):
        made.produce(producer, key(number), value("c", number, f"{number:02}" * (5 * MEGABYTE)))
        producer.flush(30)
    found = peak(made)
    assert found["records"] == made.stored() == 40
    assert found["megabytes"] < 400, found


@pytest.mark.parametrize("count", [300_000])
def test_small_rows_take_less_than_400_mb_however_many_wait(stream: Streams, count: int) -> None:
    made = stream().create()
    producer = services.producer(**{"linger.ms": 50, "queue.buffering.max.messages": 1_000_000})
    template = value("c", 987_654_321, "name of a usual row").replace(b"987654321", b"%d")
    for number in range(count):
        text = template.replace(b"%d", b"%d" % number)
        producer.produce(made.topic, value=text, key=b'{"id": %d}' % number, partition=0)
    assert producer.flush(60) == 0
    found = peak(made)
    assert found["records"] == made.stored() == count
    assert found["megabytes"] < 400, found
