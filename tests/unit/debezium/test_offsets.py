from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.debezium.offsets import (
    domains_reached,
    gtid_subset,
    incremental_snapshot_tables,
    parse_gtid_set,
    reached,
    snapshot_running,
)
from airflow_provider_chista.errors import FatalError

ONE, TWO = "0a8d1111-e721-11f1-9138-02fc00000001", "0a8d2222-e721-11f1-9138-02fc00000002"

# Offsets as Debezium 3.5 committed them, with the source position read right after the transaction they belong to.
MYSQL = {
    "ts_sec": 1795405587,
    "file": "binlog.000001",
    "pos": 129657,
    "gtids": f"{ONE}:1-306",
    "row": 1,
    "server_id": 11,
    "event": 2,
}
MYSQL_AT = {"file": "binlog.000001", "pos": 129894, "gtids": f"{ONE}:1-307"}
MYSQL_NEXT = {
    "transaction_id": f"{ONE}:308",
    "ts_sec": 1795405589,
    "file": "binlog.000001",
    "pos": 129894,
    "gtids": f"{ONE}:1-307",
    "server_id": 11,
    "event": 3,
}
MARIADB = {
    "ts_sec": 1795405587,
    "file": "binlog.000001",
    "pos": 206208,
    "gtids": "0-12-547",
    "row": 1,
    "server_id": 12,
    "event": 2,
}
MARIADB_AT = {"file": "binlog.000001", "pos": 206489, "gtids": "0-12-548"}
POSTGRES_ROW = {"lsn_proc": 582681376, "messageType": "INSERT", "lsn": 582681376, "txId": 1400, "ts_usec": 1}
POSTGRES_COMMIT = {
    "transaction_id": "1406",
    "lsn_proc": 582684896,
    "messageType": "COMMIT",
    "lsn_commit": 582684896,
    "lsn": 582684896,
    "txId": 1406,
}


@pytest.mark.parametrize(
    ("flavour", "offset", "position", "expected"),
    [
        ("mysql", MYSQL, MYSQL_AT, False),
        ("mysql", MYSQL_NEXT, MYSQL_AT, True),
        ("mysql", MYSQL, {**MYSQL_AT, "gtids": f"{ONE}:1-306"}, True),
        ("mysql", MYSQL_NEXT, {**MYSQL_AT, "gtids": f"{ONE}:1-307,{TWO}:5"}, False),
        ("mysql", {**MYSQL_NEXT, "gtids": f"{ONE}:1-300:302-307"}, MYSQL_AT, False),
        ("mariadb", MARIADB, MARIADB_AT, False),
        ("mariadb", {**MARIADB, "gtids": "0-12-548"}, MARIADB_AT, True),
        ("mariadb", {**MARIADB, "gtids": "0-99-549"}, MARIADB_AT, True),
        ("mariadb", {**MARIADB, "gtids": "0-12-548"}, {**MARIADB_AT, "gtids": "0-12-548,1-12-3"}, False),
        (
            "mariadb",
            {**MARIADB, "gtids": "1-12-4,0-12-548"},
            {**MARIADB_AT, "gtids": "0-12-548,1-12-3"},
            True,
        ),
        ("postgres", POSTGRES_ROW, {"lsn": 582681568}, False),
        ("postgres", POSTGRES_ROW, {"lsn": 582681376}, True),
        ("postgres", POSTGRES_COMMIT, {"lsn": 582684896}, True),
        ("postgres", POSTGRES_COMMIT, {"lsn": 582684897}, False),
        ("postgres", {"messageType": "BEGIN", "lsn": 5, "lsn_commit": 90}, {"lsn": 90}, True),
        ("postgres", {"lsn": "600"}, {"lsn": 5}, False),
    ],
    ids=lambda value: None,
)
def test_a_real_offset_has_or_has_not_reached_a_position(flavour, offset, position, expected):
    assert reached(flavour, offset, json.dumps(position)) is expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ({"file": "binlog.000002", "pos": 4}, True),
        ({"file": "binlog.000001", "pos": 500}, True),
        ({"file": "binlog.000001", "pos": 499}, False),
        ({"file": "binlog.999999", "pos": 4}, True),
        ({"file": "binlog.1000000", "pos": 4}, True),
        ({"file": "other.000009", "pos": 900}, False),
        ({"file": "binlog", "pos": 900}, False),
        ({"pos": 900}, False),
        ({"file": "binlog.000009"}, False),
    ],
)
def test_without_gtids_the_file_is_compared_by_number_and_then_the_position(offset, expected):
    position = json.dumps({"file": "binlog.000001", "pos": 500, "gtids": ""})
    assert reached("mysql", {**offset, "gtids": None}, position) is expected


def test_a_file_number_of_seven_digits_is_beyond_one_of_six():
    position = json.dumps({"file": "binlog.1000000", "pos": 4})
    assert not reached("mysql", {"file": "binlog.999999", "pos": 10_000}, position)


def test_an_offset_without_gtids_has_not_reached_a_position_with_them():
    assert not reached("mysql", {"file": "binlog.000009", "pos": 900}, json.dumps(MYSQL_AT))


@pytest.mark.parametrize("marker", ["INITIAL", "BLOCKING", True, "true"])
def test_nothing_is_reached_while_a_snapshot_runs(marker):
    assert snapshot_running({**MYSQL_NEXT, "snapshot": marker})
    assert not reached("mysql", {**MYSQL_NEXT, "snapshot": marker}, json.dumps(MYSQL_AT))
    assert not reached("postgres", {**POSTGRES_COMMIT, "snapshot": marker}, '{"lsn": 1}')


@pytest.mark.parametrize("marker", [None, False, "false"])
def test_an_offset_after_the_snapshot_counts(marker):
    assert not snapshot_running({**MYSQL_NEXT, "snapshot": marker})


def test_an_incremental_snapshot_under_way_names_its_tables():
    entry = {
        "incremental_snapshot_collections_id": "shop.big",
        "incremental_snapshot_collections_additional_condition": None,
        "incremental_snapshot_collections_surrogate_key": None,
    }
    offset = {**MYSQL_NEXT, "incremental_snapshot_collections": json.dumps([entry])}
    assert incremental_snapshot_tables(offset) == {"shop.big"}
    assert incremental_snapshot_tables(MYSQL_NEXT) == set()
    assert not snapshot_running(offset)


@pytest.mark.parametrize(
    ("flavour", "position"),
    [
        ("mysql", "binlog.000001:4"),
        ("mysql", '{"lsn": 4}'),
        ("postgres", '{"file": "a.1", "pos": 4}'),
        ("oracle", "{}"),
        ("mysql", "[]"),
    ],
)
def test_a_text_that_is_no_position_is_fatal(flavour, position):
    with pytest.raises(FatalError, match="not a source position"):
        reached(flavour, {}, position)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", {}),
        (f"{ONE}:5", {ONE: [(5, 5)]}),
        (f"{ONE}:1-3:4-6,\n{TWO}:9", {ONE: [(1, 6)], TWO: [(9, 9)]}),
        (f"{ONE.upper()}:7-9:1-3:2-4", {ONE: [(1, 4), (7, 9)]}),
        (f"{ONE}:1-3:purge:5-6:8", {ONE: [(1, 3)], f"{ONE}:purge": [(5, 6), (8, 8)]}),
    ],
)
def test_a_gtid_set_is_parsed_into_merged_intervals(text, parsed):
    assert parse_gtid_set(text) == parsed


@pytest.mark.parametrize("text", ["1-5", f"{ONE}", f"{ONE}:", f"{ONE}:1-x-3", "not a uuid:1-4"])
def test_a_text_that_is_no_gtid_set_is_fatal(text):
    with pytest.raises(FatalError, match="not part of a MySQL GTID set"):
        parse_gtid_set(text)


def test_a_text_that_is_no_mariadb_gtid_is_fatal():
    with pytest.raises(FatalError, match="not a MariaDB GTID"):
        domains_reached("0-1-2", f"{ONE}:1-4")


SOURCES = (ONE, TWO, f"{ONE}:tag")
TRANSACTIONS = st.frozensets(st.tuples(st.sampled_from(SOURCES), st.integers(1, 30)), max_size=40)


@st.composite
def written(draw, transactions):
    """The set as some server might write it: single numbers and runs, in any order, sometimes repeated."""
    parts = []
    for source in SOURCES:
        numbers = sorted(number for owner, number in transactions if owner == source)
        tokens = []
        while numbers:
            length = draw(st.integers(1, len(numbers)))
            run = [number for index, number in enumerate(numbers[:length]) if number == numbers[0] + index]
            tokens.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
            numbers = numbers[len(run) :]
        tokens = draw(st.permutations(tokens))
        if tokens:
            parts.append(":".join([source, *tokens, *tokens[:1]]))
    return ", ".join(draw(st.permutations(parts)))


@given(st.data(), TRANSACTIONS, TRANSACTIONS)
def test_gtid_subset_is_the_subset_of_the_transactions(data, inner, outer):
    assert gtid_subset(data.draw(written(inner)), data.draw(written(outer))) is (inner <= outer)
    assert gtid_subset(data.draw(written(inner)), data.draw(written(inner | outer)))


@given(
    st.dictionaries(st.integers(0, 4), st.integers(0, 50)),
    st.dictionaries(st.integers(0, 4), st.integers(0, 50)),
)
def test_a_mariadb_position_is_reached_when_every_domain_is(wanted, seen):
    def text(position):
        return ",".join(f"{domain}-{domain + 7}-{sequence}" for domain, sequence in position.items())

    expected = all(domain in seen and seen[domain] >= sequence for domain, sequence in wanted.items())
    assert domains_reached(text(wanted), text(seen)) is expected
