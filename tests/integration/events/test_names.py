"""Tables and columns of every name that an engine accepts: snapshot, stream, drain, proof, purge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from airflow_provider_chista.archive import snapshot
from airflow_provider_chista.errors import ChistaError, FatalError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.events.conftest import ENGINES, Opened, drain_all, require_same
from tests.integration.support.engines import MYSQL_FAMILY, Connector, Engine, connector, wait_for

NAMES = (
    "select", "Mixed Case-dash.dot", "100% %s %(x)s %%", "it's", 'double"quote', "back`tick\\slash", "{a:String} {0}",
    "semi;comma, colon:", "größe 名前", "a+b*(c)?[d]^$|", "-- /* comment", " tab\tnew\nline", "1",
)  # fmt: skip
"""Names of tables, each also of the table's key."""

COLUMNS = (
    *NAMES, "order by", "with-dash", "with.dot", "?", "null", "@at :colon", "#hash", "<tag>",
    "two''quotes", "$dollar", "~|`'\"~", '"quoted"x',
    "`ticked`x",
    # Aliases and names that the provider's SQL uses itself.
    "t", "w", "v", "k0", "k1", "d", "m", "h", "c", "deleted", "wanted", "row_key", "row_hash", "position", "version",
    "_chista",
)  # fmt: skip
"""Names of the columns of one table."""

LONGEST = {"mysql": "m" * 64, "mariadb": "M" * 64, "postgres": "p" * 63}

# MySQL and MariaDB keep names in three bytes a character.
BEYOND = {"mysql": (), "mariadb": (), "postgres": ("emoji 😀 🇪🇺",)}

LATE = ("late-dash", "late+b*(c)?[d]^$|", "late,comma", "late\\slash%s")
"""Tables that a running connector gets by signal."""


def names_of(flavour: str) -> Sequence[str]:
    return (*NAMES, LONGEST[flavour], *BEYOND[flavour])


def quoted(engine: Engine, *path: str) -> str:
    mark = "`" if engine.flavour in MYSQL_FAMILY else '"'
    return ".".join(mark + name.replace(mark, mark * 2) + mark for name in path)


def netstring(text: str) -> str:
    return f"{len(text)}:{text}"


def columns_of(table: TableId) -> Sequence[str]:
    """The key, then columns of texts."""
    if table.name == "columns":
        return COLUMNS
    return (table.name, "v" if table.name != "v" else "w")


@dataclass
class Named:
    """A connector that captures tables of odd names in its schema, and one in a schema of an odd name."""

    connector: Connector
    schema: str

    @property
    def engine(self) -> Engine:
        return self.connector.engine

    @property
    def tables(self) -> list[TableId]:
        own = [TableId(self.connector.schema, name) for name in (*names_of(self.engine.flavour), "columns")]
        return [*own, TableId(self.schema, "odd'schema")]

    def name(self, table: TableId) -> str:
        return quoted(self.engine, table.schema, table.name)

    def create(self, table: TableId) -> None:
        key, *others = (quoted(self.engine, column) for column in columns_of(table))
        columns = ", ".join([f"{key} INT PRIMARY KEY", *(f"{column} VARCHAR(40)" for column in others)])
        self.engine.execute(f"CREATE TABLE {self.name(table)} ({columns})")

    def insert(self, table: TableId, *ids: int) -> None:
        texts = [f"'text {i}'" for i in range(1, len(columns_of(table)))]
        rows = ", ".join(f"({', '.join([str(i), *texts])})" for i in ids)
        self.engine.execute(f"INSERT INTO {self.name(table)} VALUES {rows}")

    def change(self, table: TableId) -> None:
        """An update, a key change, a delete."""
        key, *others = (quoted(self.engine, column) for column in columns_of(table))
        changed = ", ".join(f"{column} = 'changed {i}'" for i, column in enumerate(others))
        self.engine.execute(
            f"UPDATE {self.name(table)} SET {changed} WHERE {key} = 1",
            f"UPDATE {self.name(table)} SET {key} = 20 WHERE {key} = 2",
            f"DELETE FROM {self.name(table)} WHERE {key} = 3",
        )

    def add_schema(self) -> None:
        engine, name = self.engine, quoted(self.engine, self.schema)
        if engine.flavour in MYSQL_FAMILY:
            pattern = quoted(engine, self.schema.replace("_", r"\_").replace("%", r"\%"))
            engine.execute(
                f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
                f"GRANT LOCK TABLES ON {pattern}.* TO 'chista_capture'@'%'",
                f"GRANT SELECT, TRIGGER ON {pattern}.* TO 'chista_verify'@'%'",
                f"GRANT SELECT, DELETE ON {pattern}.* TO 'chista_purge'@'%'",
            )
        else:
            users = "chista_capture, chista_verify, chista_purge"
            engine.execute(
                f"CREATE SCHEMA {name}",
                f"GRANT USAGE ON SCHEMA {name} TO {users}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT SELECT ON TABLES TO {users}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT DELETE ON TABLES TO chista_purge",
                f"ALTER PUBLICATION {self.connector.schema} ADD TABLES IN SCHEMA {name}",
            )

    def drop_schema(self) -> None:
        engine, name = self.engine, quoted(self.engine, self.schema)
        if engine.flavour in MYSQL_FAMILY:
            pattern = quoted(engine, self.schema.replace("_", r"\_").replace("%", r"\%"))
            engine.execute(
                f"DROP DATABASE IF EXISTS {name}",
                f"REVOKE LOCK TABLES ON {pattern}.* FROM 'chista_capture'@'%'",
                f"REVOKE SELECT, TRIGGER ON {pattern}.* FROM 'chista_verify'@'%'",
                f"REVOKE SELECT, DELETE ON {pattern}.* FROM 'chista_purge'@'%'",
            )
        else:
            engine.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture(scope="module", params=ENGINES)
def named(request: pytest.FixtureRequest, store: Store) -> Iterator[Named]:
    with connector(request.param, {}) as made:
        odd = Named(made, f"{made.name} odd-%'{{é}}")
        odd.add_schema()
        try:
            for table in odd.tables:
                odd.create(table)
                odd.insert(table, 1, 2, 3)
            made.tables.extend(odd.tables)
            made.register()
            yield odd
        finally:
            odd.drop_schema()


def test_tables_and_columns_of_any_name_go_the_whole_way(named: Named, opened: Opened) -> None:
    archives = [opened(named.connector, table.name, schema=table.schema) for table in named.tables]
    capture = archives[0].capture
    wait_for(lambda: snapshot.advance(capture, archives[0].control, named.tables).completed, seconds=60)
    for table in named.tables:
        named.insert(table, 4)
        named.change(table)
    summaries = drain_all(*archives)
    wrong: dict[str, str] = {}
    for archive, summary in zip(archives, summaries, strict=True):
        try:
            assert {op: summary.get(f"op_{op}", 0) for op in ("r", "c", "u", "d", "dead")} == {
                "r": 3, "c": 2, "u": 1, "d": 2, "dead": 0
            }  # fmt: skip
            others = len(columns_of(archive.id)) - 1
            found = require_same(archive)
            assert found == {
                "1": ("1", *(netstring(f"changed {i}") for i in range(others))),
                **{key: (key, *(netstring(f"text {i + 1}") for i in range(others))) for key in ("20", "4")},
            }
            proof = archive.verify()
            archive.approve(proof)
            assert proof.rows == archive.purge().deleted == 3
            assert archive.source_keys() == set()
        except (AssertionError, ChistaError) as error:
            wrong[str(archive.id)] = str(error)
    assert wrong == {}, str(wrong)[:6000]
    for summary in drain_all(*archives):
        assert (summary["purge_deletes"], summary["application_deletes"], summary["held_deletes"]) == (
            3,
            0,
            0,
        )


def test_tables_of_any_name_are_added_to_a_running_connector(named: Named, opened: Opened) -> None:
    late = [TableId(named.connector.schema, name) for name in LATE]
    for table in late:
        named.create(table)
        named.insert(table, 1, 2, 3)
    named.connector.tables.extend(late)
    named.connector.register()
    archives = [opened(named.connector, table.name) for table in late]
    capture = archives[0].capture
    wait_for(lambda: snapshot.advance(capture, archives[0].control, late).completed, seconds=60)
    for table in late:
        named.change(table)
    for name in ("brace{x}", "open(", "open[", "late.dot", "late space", 'late"quote', "late's", "late`s"):
        with pytest.raises(FatalError, match=r"cannot be asked for a snapshot of .* because of its name"):
            capture.source.request_snapshot("never", [TableId(named.connector.schema, name)])
    for archive, summary in zip(archives, drain_all(*archives), strict=True):
        assert (summary["op_r"], summary["op_u"], summary["op_d"]) == (3, 1, 2), archive.id
        assert require_same(archive).keys() == {"1", "20"}


def test_columns_named_like_the_providers_are_refused_by_name(named: Named, opened: Opened) -> None:
    table = TableId(named.connector.schema, "ours")
    mine = quoted(named.engine, "_chista_version")
    named.engine.execute(
        f"CREATE TABLE {named.name(table)} (id INT PRIMARY KEY, {mine} BIGINT, name VARCHAR(9))"
    )
    with pytest.raises(
        FatalError, match=r"_chista_version \(bigint.*\): names that begin with _chista_.*rename the column"
    ):
        opened(named.connector, "ours")
    with named.engine.source() as source:
        found = source.table_findings(source.catalogue(table))
    assert [finding.subject for finding in found if finding.severity is Severity.ERROR] == [
        f"{table}._chista_version"
    ]


def test_a_table_whose_name_begins_or_ends_with_the_engines_quotation_mark_is_refused(named: Named) -> None:
    """Debezium takes such a name for one that is quoted already, and its snapshot of every table fails."""
    mark = "`" if named.engine.flavour in MYSQL_FAMILY else '"'
    for name in (f"x{mark}", f"{mark}x", mark):
        with pytest.raises(FatalError, match="Debezium does not quote a name that begins or ends with"):
            named.connector.spec(tables=[TableId(named.connector.schema, name)]).config()


def test_a_schema_with_a_dot_is_looked_for_under_its_first_part(named: Named) -> None:
    """A known limit: ``schema.table`` is split at its first dot, so such a schema cannot be named."""
    dotted = f"{named.connector.schema}.dotted"
    with (
        named.engine.source() as source,
        pytest.raises(FatalError, match=rf"(?s)table {dotted}.t does not exist.*select"),
    ):
        source.catalogue(TableId.parse(f"{dotted}.t"))


@pytest.mark.parametrize("named", ["postgres"], indirect=True)
@pytest.mark.parametrize("name", ['"quoted"', "`ticked`", "'told'"])
def test_a_column_of_a_quoted_name_is_refused_where_debezium_takes_the_marks_off(
    named: Named, opened: Opened, name: str
) -> None:
    table = TableId(named.connector.schema, f"marks {name[1:-1]}")
    column = quoted(named.engine, name)
    named.engine.execute(f"CREATE TABLE {named.name(table)} (id INT PRIMARY KEY, {column} TEXT)")
    with pytest.raises(FatalError, match="Debezium takes off the quotation marks"):
        opened(named.connector, table.name)
