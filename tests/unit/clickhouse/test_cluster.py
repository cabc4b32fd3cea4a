"""Tables of a cluster: the text of their statements, parsed by ClickHouse itself, and writes that wait for their turn."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from chdb import session
from clickhouse_connect.driver.exceptions import DatabaseError

from airflow_provider_chista.clickhouse import errors, evolve
from airflow_provider_chista.clickhouse.cluster import HERE, Placement, is_replicated
from airflow_provider_chista.clickhouse.control import TABLES, Control
from airflow_provider_chista.clickhouse.ddl import create_statement
from airflow_provider_chista.clickhouse.layout import cluster_in, table_note
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import Kind, TableId
from tests.unit.clickhouse.tables import ENGINE, INT, TARGET, TYPES, col, created, source

CLUSTER = Placement("my `cluster`", True)
ON_CLUSTER = " ON CLUSTER `my \\`cluster\\``"
REPLICATED = (
    "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', _chista_version, _chista_deleted)"
    " ORDER BY id SETTINGS index_granularity = 8192"
)


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A statement as ClickHouse writes what it understood, in one line."""
    opened = session.Session(str(tmp_path_factory.mktemp("clickhouse")))

    def parse(statement: str) -> str:
        literal = statement.replace("\\", "\\\\").replace("'", "\\'")
        return str(opened.query(f"SELECT formatQuerySingleLine('{literal}') FORMAT TSVRaw"))

    return parse


def test_an_archive_table_of_a_cluster_is_replicated_and_remembers_the_cluster(
    parsed: Callable[[str], str],
) -> None:
    table = source(INT)
    text = parsed(create_statement(TYPES, table, TARGET, CLUSTER))
    assert f"CREATE TABLE IF NOT EXISTS archive.t{ON_CLUSTER} (" in text
    assert "ENGINE = ReplicatedReplacingMergeTree(_chista_version, _chista_deleted)" in text
    assert "replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800" in text
    assert "non_replicated" not in text
    assert cluster_in(table_note(table, CLUSTER.cluster)) == "my `cluster`"


def test_a_table_of_one_server_is_as_ever(parsed: Callable[[str], str]) -> None:
    text = parsed(create_statement(TYPES, source(INT), TARGET))
    assert "archive.t (" in text
    assert "ENGINE = ReplacingMergeTree(_chista_version, _chista_deleted)" in text
    assert "SETTINGS non_replicated_deduplication_window = 1000" in text
    assert cluster_in(table_note(source(INT))) == cluster_in("a comment of the user's") == ""


@pytest.mark.parametrize("table", TABLES)
def test_state_tables_are_made_where_they_are_asked_for(table: str, parsed: Callable[[str], str]) -> None:
    plain, replicated = (
        parsed(Control(None, "state", placement).create_statement(table))  # type: ignore[arg-type]
        for placement in (HERE, CLUSTER)
    )
    assert f"state.{table} (" in plain
    assert f"state.{table}{ON_CLUSTER} (" in replicated
    engine = plain.split("ENGINE = ")[1].split("MergeTree")[0]
    assert f"ENGINE = Replicated{engine}MergeTree" in replicated
    assert ("non_replicated_d" in plain, "non_replicated_d" in replicated) == (True, False)
    # People write pauses, and the same words twice are two pauses.
    remembered = 0 if table == "pauses" else 100
    assert f"SETTINGS non_replicated_deduplication_window = {remembered}" in plain
    assert f"SETTINGS replicated_deduplication_window = {remembered}," in replicated


@pytest.mark.parametrize("engine", [REPLICATED, REPLICATED.replace("Replicated", "Shared", 1)])
def test_a_replicated_table_is_compared_like_a_plain_one(engine: str) -> None:
    known = created(source(INT), engine_full=engine)
    assert is_replicated(known.engine)
    assert evolve.compare(TYPES, source(INT), known).is_complete
    more = col(Kind.TEXT)
    fit = evolve.compare(TYPES, source(more), created(source(), engine_full=engine))
    assert [column.name for column in fit.missing] == ["c"]
    assert not fit.differences
    without = engine.replace(", _chista_deleted", "")
    assert (
        "engine is"
        in evolve.compare(TYPES, source(INT), created(source(INT), engine_full=without)).differences[0]
    )


def test_a_change_of_the_tables_comment_keeps_its_cluster() -> None:
    table = source(INT)
    made = created(table, comment=table_note(table, "c1"))
    assert evolve.compare(TYPES, table, made).note is None
    without = source(INT).without({"c"})
    note = evolve.compare(TYPES, without, created(source(), comment=table_note(source(), "c1"))).note
    assert note is not None
    assert '"excluded": ["c"]' in note
    assert cluster_in(note) == "c1"


def test_a_table_that_is_not_replicated_is_refused_where_replicated_ones_are_asked_for() -> None:
    with pytest.raises(FatalError, match=r"a\.t exists with the engine ReplacingMergeTree, and replicated"):
        CLUSTER.require_engine("a.t", created(source()).engine)
    CLUSTER.require_engine("a.t", "ReplicatedReplacingMergeTree")
    HERE.require_engine("a.t", ENGINE)


class Busy:
    """A write that ClickHouse refuses with a code as often as told."""

    def __init__(self, code: int, times: int) -> None:
        self.code, self.times, self.calls = code, times, 0

    def __call__(self) -> str:
        self.calls += 1
        with errors.translated("writing"):
            if self.calls <= self.times:
                raise DatabaseError(f"Code: {self.code}", code=self.code)
        return "written"


def test_a_write_waits_for_the_quorum_of_another_one() -> None:
    write = Busy(286, 3)
    assert errors.in_turn(write)() == "written"
    assert write.calls == 4


def test_a_write_gives_up_when_its_turn_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "TURN_SECONDS", 0.3)
    write, begun = Busy(286, 10_000), time.monotonic()
    with pytest.raises(TransientError, match="another insert into the table waits for its quorum"):
        errors.in_turn(write)()
    assert 1 < write.calls < 100
    assert 0.3 < time.monotonic() - begun < 2


@pytest.mark.parametrize(("code", "kind"), [(242, TransientError), (319, TransientError), (60, FatalError)])
def test_other_refusals_are_not_repeated(code: int, kind: type[Exception]) -> None:
    write = Busy(code, 1)
    with pytest.raises(kind):
        errors.in_turn(write)()
    assert write.calls == 1


def test_names_of_databases_and_clusters_are_quoted() -> None:
    text = create_statement(TYPES, source(), TableId("a`b", "c d"), Placement("x; DROP", True))
    assert text.startswith("CREATE TABLE IF NOT EXISTS `a\\`b`.`c d` ON CLUSTER `x; DROP`\n")
