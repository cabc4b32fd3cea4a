"""Primary keys of every type: rows of the snapshot and of the stream, updated, deleted and moved, are proven and purged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_provider_chista.clickhouse import rowhash, sql
from airflow_provider_chista.clickhouse.ddl import view_of
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import connector
from tests.integration.types.key_cases import KEYS, Keyed
from tests.integration.types.stories import Told, drain_together, each, snapshot_together


@pytest.fixture(scope="module", params=KEYS)
def archives(request: pytest.FixtureRequest, store: Store) -> Iterator[Told]:
    """All tables of an engine, with the application's changes behind the snapshot."""
    keys = KEYS[request.param]
    own = replace(store, database=f"{store.database}_{request.param}")
    with connector(request.param, {}, captured=list(keys)) as made:
        tables = {name: keyed.statements(f"{made.schema}.{name}") for name, keyed in keys.items()}
        made.engine.execute(
            *SESSION.get(request.param, ()), *(s for before, _ in tables.values() for s in before)
        )
        made.register()
        archived = {name: Archive(made, own.client, own.control, own.database, name) for name in keys}
        try:
            snapshot_together(list(archived.values()))
            made.engine.execute(
                *SESSION.get(request.param, ()), *(s for _, after in tables.values() for s in after)
            )
            drain_together(list(archived.values()))
            yield Told(made, archived)
        finally:
            for archive in archived.values():
                archive.capture.source.close()
            store.client.command(f"DROP DATABASE IF EXISTS {own.database}")


SESSION = dict.fromkeys(("mysql", "mariadb"), ("SET SESSION time_zone = '+00:00'",))


def keys_of(archives: Told) -> dict[str, Keyed]:
    return KEYS[archives.connector.engine.flavour]


def shown(archive: Archive) -> dict[str, int]:
    """``v`` by row key, as the view shows it."""
    key = rowhash.row_key(archive.types, archive.table)
    return dict(
        archive.client.query(f"SELECT {key}, v FROM {sql.table(view_of(archive.target))}").result_rows
    )


def test_each_row_is_under_its_key_and_no_key_is_taken_for_another(archives: Told) -> None:
    for name, keyed in keys_of(archives).items():
        assert (name, shown(archives[name])) == (name, keyed.rows)
        assert (name, archives[name].source_keys()) == (name, keyed.rows.keys())


def test_every_row_is_proven_purged_and_sealed_and_the_archive_still_shows_it(archives: Told) -> None:
    done = list(archives.archives.values())

    def proven_and_purged(archive: Archive) -> None:
        rows = len(keys_of(archives)[archive.name].rows)
        proof = archive.verify()
        archive.approve(proof)
        report = archive.purge(txn_size=3)
        told = (proof.rows, report.deleted, dict(report.skipped), archive.source_keys())
        assert (archive.name, told) == (archive.name, (rows, rows, {}, set()))

    def sealed(archive: Archive) -> None:
        rows = keys_of(archives)[archive.name].rows
        assert (archive.name, archive.seal().rows, shown(archive)) == (archive.name, len(rows), rows)

    each(done, proven_and_purged)
    drain_together(done)
    each(done, sealed)


MYSQL_FAMILY_REFUSED = {
    "a FLOAT, PRIMARY KEY (a)": r"a \(float\): .*cannot be part of the primary key",
    "a DOUBLE, b INT, PRIMARY KEY (b, a)": r"a \(double\): .*cannot be part of the primary key",
    "a DOUBLE(9,2), PRIMARY KEY (a)": r"a \(double\(9,2\)\): .*cannot be part of the primary key",
    "a TIME, PRIMARY KEY (a)": r"a \(time\): .*cannot be part of the primary key.*choose another key",
    "a BIT(9), PRIMARY KEY (a)": r"a \(bit\(9\)\): snapshots carry the bytes .* change its type to an integer",
    "a INT, b INT, KEY (a)": "has no primary key, .*add a primary key at the source",
    "a INT NOT NULL, UNIQUE KEY (a)": "has no primary key, .*add a primary key at the source",
}
REFUSED = {
    "mysql": {
        **MYSQL_FAMILY_REFUSED,
        # MariaDB knows no such key.
        "a INT, g INT AS (a * 2) STORED, PRIMARY KEY (g)": r"g \(int\): a generated column cannot be part of",
    },
    "mariadb": {
        **MYSQL_FAMILY_REFUSED,
        "a UUID, PRIMARY KEY (a)": r"a \(uuid\): .*cannot be part of the primary key",
    },
    "postgres": {
        "a INT": "has no primary key, .*add a primary key at the source",
        "a INT NOT NULL UNIQUE": "has no primary key, .*add a primary key at the source",
    },
}


def test_a_key_that_is_none_everywhere_is_refused_by_name(archives: Told) -> None:
    made = archives.connector
    for number, (ddl, message) in enumerate(REFUSED[made.engine.flavour].items()):
        table = TableId(made.schema, f"refused{number}")
        made.engine.execute(f"CREATE TABLE {table} ({ddl})")
        with made.engine.source() as source:
            found = source.catalogue(table)
            (finding,) = [f for f in source.table_findings(found) if f.severity == "error"]
        with pytest.raises(FatalError, match=message):
            found.require_archivable()
        assert "exclude" not in finding.remedy
        if found.primary_key:
            name = found.refused[0].name
            assert finding.subject == f"{table}.{name}"
            with pytest.raises(FatalError, match="is part of the primary key and cannot be excluded"):
                found.without([name])
        else:
            assert (finding.check, finding.subject) == ("primary key", str(table))
