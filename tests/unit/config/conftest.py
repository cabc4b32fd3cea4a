"""A file of archives at each test's own disposal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_chista.config import ArchivesError, load_dags

GOOD = """\
archives:
  orders:
    source_conn_id: v
    purge_conn_id: p
    capture_conn_id: c
    connector: orders
    topic_prefix: orders
    retention: 90 days
    tables:
      - source: shop.orders
        target: archive.orders
        time_column: day
"""


@pytest.fixture
def errors(tmp_path: Path) -> Callable[[str | bytes], list[str]]:
    """What is wrong with a text, each as ``line:column: text``."""

    def found(text: str | bytes) -> list[str]:
        file = tmp_path / "archives.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ArchivesError) as caught:
            load_dags(file)
        headline, *lines = str(caught.value).splitlines()
        count = len(lines)
        assert headline == f"archives.yaml has {count} error{'s' if count > 1 else ''}:"
        assert all(line.startswith(f"{file}:") for line in lines)
        return [line.removeprefix(f"{file}:") for line in lines]

    return found
