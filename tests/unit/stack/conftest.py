"""A stack that nothing was downloaded for and nothing is started of: its cache holds empty folders in the right places."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.settings import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    made = Stack(base_port=30000, data=tmp_path / "data", cache=tmp_path / "cache")
    versions = made.versions
    for name in (
        f"kafka-{versions['KAFKA_VERSION']}",
        f"debezium-{versions['DEBEZIUM_VERSION']}",
        f"apicurio-registry-{versions['APICURIO_VERSION']}",
        f"chdb-{versions['CHDB_VERSION']}",
        f"mysql-{versions['MYSQL_SERIES']}",
        f"mysql-{versions['MYSQL_SERIES']}-packages",
    ):
        (made.cache / name).mkdir(parents=True)
    return made
