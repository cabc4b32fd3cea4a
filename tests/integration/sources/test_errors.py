"""A driver's errors become ours: fatal or transient, naming server, database, user and remedy, never a password."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.mariadb import MariaDBSource
from airflow_provider_chista.sources.mysql import MySQLSource
from airflow_provider_chista.sources.postgres import PostgresSource

CLASSES = {"mysql": MySQLSource, "mariadb": MariaDBSource, "postgres": PostgresSource}


def test_the_server_is_asked_what_it_is(server: Any) -> None:
    with server.source() as source:
        assert type(source) is CLASSES[server.flavour]
        assert source.flavour == server.flavour
        assert source.version()


def test_a_wrong_password_is_fatal_and_not_repeated(server: Any) -> None:
    with pytest.raises(FatalError, match="Check user and password") as error:
        server.source("chista_verify", "wrong-secret")
    assert "chista_verify" in str(error.value)
    assert "wrong-secret" not in str(error.value)


def test_an_unknown_database_is_fatal(server: Any) -> None:
    with pytest.raises(FatalError, match="Check the database name") as error:
        open_source(lambda: server.connect(database="no_such_database"))
    assert "no_such_database" in str(error.value)


def test_a_server_that_does_not_listen_is_transient(server: Any, throw_away: Any) -> None:
    closed = type(server)(server.flavour, "127.0.0.1", 1, "nobody", "secret-word")
    with pytest.raises(TransientError, match="unreachable") as error:
        open_source(closed.connect, label="my_connection")
    assert str(error.value).startswith("my_connection: ")
    assert "127.0.0.1" in str(error.value)
    assert "secret-word" not in str(error.value)


def test_a_missing_privilege_is_fatal_and_named(schema: Any) -> None:
    schema.create("readable", "id INT PRIMARY KEY")
    schema.insert("readable", [(1,)])
    with schema.source("verify") as source:
        table = source.catalogue(schema.id("readable"))
        ((pair,),) = source.hashes(table, None)
        with pytest.raises(FatalError, match=r"Grant what is missing \(docs/grants\.md\)") as error:
            source.guarded_delete(table, "it-denied", [pair])
        assert "chista_verify" in str(error.value)
        assert source.count(table, None) == 1


def test_a_table_that_went_away_is_fatal(schema: Any) -> None:
    schema.create("going", "id INT PRIMARY KEY")
    with schema.source("verify") as source:
        table = source.catalogue(schema.id("going"))
        schema.server.execute(f"DROP TABLE {schema.named('going')}")
        with pytest.raises(FatalError, match="Check the names"):
            source.count(table, None)
        with pytest.raises(FatalError, match="Check the names"):
            list(source.hashes(table, None))


def test_errors_of_the_callers_own_connect_pass_through() -> None:
    def connect() -> Any:
        raise LookupError("no such Airflow connection")

    with pytest.raises(LookupError, match="no such Airflow connection"):
        open_source(connect)


def test_a_server_killed_in_the_middle_is_transient(server: Any, throw_away: Any) -> None:
    other = throw_away.start(server.flavour)
    place = "s"
    other.execute(
        f"CREATE {'SCHEMA' if server.flavour == 'postgres' else 'DATABASE'} {place}",
        "CREATE TABLE s.t (id INT PRIMARY KEY, v VARCHAR(2000))",
    )
    other.insert("s.t", [(i, "x" * 2_000) for i in range(3_000)])
    source = other.source()
    from airflow_provider_chista.model import TableId

    table = source.catalogue(TableId("s", "t"))
    stream = source.hashes(table, None, 10)
    next(stream)
    throw_away.running[-1].send_signal(signal.SIGKILL)
    throw_away.running[-1].wait(10)
    if server.flavour == "postgres":
        time.sleep(1)
    with pytest.raises(ChistaError) as error:
        source.count(table, None)
    assert isinstance(error.value, TransientError), error.value
    with pytest.raises(TransientError):
        for _ in stream:
            pass
    with pytest.raises(TransientError):
        source.count(table, None)
    source.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_both_drivers_of_postgresql_serve(driver: str) -> None:
    module = pytest.importorskip(driver)
    from airflow_provider_chista.model import TableId

    login = {
        "host": "127.0.0.1",
        "port": os.environ["CHISTA_POSTGRES_PORT"],
        "user": "chista_verify",
        "password": os.environ["CHISTA_POSTGRES_VERIFY_PASSWORD"],
        "dbname": "shipment_db",
    }
    with open_source(lambda: module.connect(**login)) as source:
        table = source.catalogue(TableId("public", "shipments"))
        assert source.count(table, None) >= 0
        assert list(source.hashes(table, None, 5)) is not None
        assert source.present(table, ["1", "2"]) <= {"1", "2"}
        with pytest.raises(FatalError, match="Grant what is missing"):
            source._write("CREATE TABLE public.not_mine (id int)", ())
    with pytest.raises(FatalError, match="Check user and password") as error:
        open_source(lambda: module.connect(**(login | {"password": "wrong-secret"})))
    assert "wrong-secret" not in str(error.value)
    with pytest.raises(TransientError, match="unreachable"):
        open_source(lambda: module.connect(**(login | {"port": 1})))


def test_cursors_of_the_users_choice_do_not_matter(server: Any) -> None:
    """Airflow connections may ask for cursors that give dictionaries."""

    def connect() -> Any:
        if server.flavour == "postgres":
            import psycopg
            from psycopg.rows import dict_row

            return psycopg.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                row_factory=dict_row,
            )
        import MySQLdb
        from MySQLdb.cursors import DictCursor

        return MySQLdb.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            cursorclass=DictCursor,
            charset="latin1",
        )

    with open_source(connect) as source:
        assert source.flavour == server.flavour
        assert source.position()
