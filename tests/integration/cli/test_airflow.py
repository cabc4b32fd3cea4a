"""The real ``airflow chista``, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.models import Connection
from sqlalchemy import create_engine, insert

from tests.integration.operators.conftest import Place
from tests.integration.support import services


@pytest.fixture
def metadata(tmp_path: Path) -> str:
    """A metadata database with ClickHouse's connection; of all tables it has that of the connections."""
    url, known = f"sqlite:///{tmp_path}/airflow.db", services.connection("clickhouse_default")
    engine = create_engine(url)
    table = Connection.__table__
    table.create(engine)
    fields = {
        "conn_id": "kept",
        **{key: known[key] for key in ("conn_type", "host", "port", "login", "password")},
    }
    with engine.begin() as connection:
        connection.execute(insert(table).values(**fields, is_encrypted=False, is_extra_encrypted=False))
    engine.dispose()
    return url


def airflow(metadata: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata}
    return subprocess.run(
        [sys.executable, "-m", "airflow", "chista", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_connection_of_the_metadata_database_serves(place: Place, metadata: str) -> None:
    target = f"{place.database}.kept"
    entry = {"source": "mysql:app.kept", "target": target, "window": "all", "verify_id": "v", "rows": 17}
    place.control.insert("ledger", [{**entry, "stage": "verified"}])
    shown = airflow(metadata, "windows", "--target", target, "-o", "json", "--clickhouse-conn-id", "kept")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [(row["state"], row["proven"]) for row in json.loads(shown.stdout)] == [("verified", 17)]
