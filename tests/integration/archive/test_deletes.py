"""Deletes told apart by the identity of their source transaction, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from tests.integration.support import services
from tests.integration.support.streams import Stream, value

Streams = Callable[..., Stream]
GTID = "0a8d9975-e6ef-11f1-bf76-02fc00000001:{}".format


def archive(stream: Streams, **options: object) -> Stream:
    made = stream(policy=DeletePolicy.ARCHIVE, **options).create()
    services.create_topic(made.log_topic)
    return made


@pytest.mark.parametrize("tx", [GTID, "0-12-{}".format, "{}".format], ids=["mysql", "mariadb", "postgres"])
def test_the_purges_delete_is_dropped_and_the_applications_is_applied(
    stream: Streams, tx: Callable[[int], str]
) -> None:
    made = archive(stream)
    made.send(*(value("c", n, f"n{n}", tx(1)) for n in range(4)))
    made.send(value("d", 0, tx=tx(10)), None, value("d", 1, tx=tx(11)), None, value("d", 2, tx=tx(10)), None)
    made.send_log((tx(10), "b", "0"), (tx(10), "b", "2"))
    summary = made.drain(made.barrier())
    assert (summary["purge_deletes"], summary["application_deletes"], summary["held_deletes"]) == (2, 1, 0)
    assert sorted(made.shown()) == [0, 2, 3]
    assert made.deletes() == {4: "purge", 6: "applied", 8: "purge"}
    again = made.drain(made.barrier())
    assert (again["purge_deletes"], again["application_deletes"]) == (0, 0)


def test_the_same_key_deleted_by_both_many_times(stream: Streams) -> None:
    made = archive(stream)
    made.send(
        value("c", 1, "first", GTID(1)), value("d", 1, tx=GTID(2)), None,  # the application deletes
        value("c", 1, "second", GTID(3)), value("d", 1, tx=GTID(4)), None,  # inserted again, purged
    )  # fmt: skip
    made.send_log((GTID(4), "b1", "1"))
    made.drain(made.barrier())
    assert made.shown() == {1: "second"}
    made.send(value("c", 1, "third", GTID(5)))
    made.drain(made.barrier())
    assert made.shown() == {1: "third"}
    made.send(value("d", 1, tx=GTID(6)), None)
    made.drain(made.barrier())
    assert made.shown() == {}
    assert made.everything()[0][1][0] == "third"
    made.send(value("c", 1, "fourth", GTID(7)), value("d", 1, tx=GTID(8)), None)
    made.send_log((GTID(8), "b2", "1"))
    made.drain(made.barrier())
    assert made.shown() == {1: "fourth"}
    assert made.deletes() == {1: "applied", 4: "purge", 7: "applied", 10: "purge"}


def test_a_log_entry_of_another_transaction_table_or_key_does_not_match(stream: Streams) -> None:
    made = archive(stream)
    made.send(
        *(value("c", n, "x", GTID(1)) for n in range(2)), value("d", 0, tx=GTID(2)), value("d", 1, tx=GTID(3))
    )
    made.send_log((GTID(3), "b", "0"), (GTID(2), "b", "1"))
    assert made.drain(made.barrier())["application_deletes"] == 2
    assert made.shown() == {}


def test_deletes_wait_without_a_barrier_and_behind_it(stream: Streams) -> None:
    made = archive(stream)
    made.send(value("c", 0, "x"), value("c", 1, "x"), value("d", 0, tx=GTID(2)))
    assert "application_deletes" not in made.drain()
    assert sorted(made.shown()) == [0, 1]
    barrier = made.barrier()
    made.send(value("d", 1, tx=GTID(3)))
    made.drain()
    assert made.drain(barrier)["application_deletes"] == 1
    assert made.shown() == {1: "x"}
    assert made.deletes() == {2: "applied", 3: "waiting"}


def test_nothing_is_decided_while_the_purge_log_is_behind_its_barrier(stream: Streams) -> None:
    made = archive(stream)
    made.send(
        *(value("c", n, "x", GTID(1)) for n in range(10)), *(value("d", n, tx=GTID(2)) for n in range(10))
    )
    made.send_log(*((GTID(2), "b", str(n)) for n in range(10)))
    barrier = made.barrier()
    made.drain()  # the table's topic is done; now the log's drain ends at a limit
    summary = made.drain(barrier, limits=DrainLimits(rows=4, batch_rows=4))
    assert "application_deletes" not in summary
    assert len(made.shown()) == 10
    assert set(made.deletes().values()) == {"waiting"}
    made.drain(barrier, limits=DrainLimits(rows=4, batch_rows=4))
    assert made.drain(barrier)["purge_deletes"] == 10
    assert len(made.shown()) == 10


def test_a_purged_key_stays_visible_when_its_log_entry_never_comes(stream: Streams) -> None:
    made = archive(stream)
    made.send(value("c", 0, "purged", GTID(1)), value("d", 0, tx=GTID(2)))
    made.control.insert(
        "purged",
        [
            {
                "target": str(made.target), "row_key": "0", "batch_id": "unlogged", "row_hash": "0" * 64, "version": 0,
                "state": "deleted", "reason": "",
            }
        ],
    )  # fmt: skip
    summary = made.drain(made.barrier())
    assert (summary["application_deletes"], summary["held_deletes"]) == (0, 1)
    assert made.shown() == {0: "purged"}
    made.send_log((GTID(2), "unlogged", "0"))
    assert made.drain(made.barrier())["purge_deletes"] == 1
    made.send(value("c", 0, "again", GTID(3)), value("d", 0, tx=GTID(4)))
    assert made.drain(made.barrier())["application_deletes"] == 1


def test_mirror_applies_every_delete_at_once(stream: Streams) -> None:
    made = stream(policy=DeletePolicy.MIRROR).create()
    made.send(value("c", 0, "x"), value("d", 0), value("c", 0, "y"), value("d", 0), value("c", 1, "z"))
    made.drain()
    assert made.shown() == {1: "z"}


def test_a_row_deleted_and_inserted_again_in_one_batch_stays(stream: Streams) -> None:
    made = stream(policy=DeletePolicy.MIRROR).create()
    made.send(value("c", 0, "x"), value("d", 0), None, value("c", 0, "y"))
    made.drain()
    assert made.shown() == {0: "y"}


def test_ignore_keeps_every_row(stream: Streams) -> None:
    made = stream(policy=DeletePolicy.IGNORE).create()
    made.send(value("c", 0, "x"), value("d", 0), None)
    assert made.drain()["op_d"] == 1
    assert made.shown() == {0: "x"}
    assert made.deletes() == {}


def test_a_delete_without_a_key_is_a_dead_letter(stream: Streams) -> None:
    made = archive(stream)
    made.send(value("c", 0, "x"), value("d", 0), keys=[b'{"id":0}', b'{"other":0}'])
    assert made.drain(made.barrier())["op_dead"] == 1
    assert made.shown() == {0: "x"}
