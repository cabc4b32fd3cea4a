"""When a micro-batch is complete."""

from __future__ import annotations

import pytest

from airflow_provider_chista.archive.report import DrainLimits

KIB = 1024


@pytest.mark.parametrize(
    ("rows", "size", "full"),
    [
        (0, 0, False),
        (99, 99, False),
        (100, 100, True),
        (99, 1000 * KIB - 1, False),
        (50, 500 * KIB, False),
        (50, 1000 * KIB, True),
        # Records of 16 KiB and more fill it with half of the bytes.
        (31, 500 * KIB, True),
        (31, 500 * KIB - 1, False),
        (1, 5000 * KIB, True),
    ],
)
def test_a_micro_batch_ends_by_rows_or_bytes_and_earlier_when_records_are_large(
    rows: int, size: int, full: bool
) -> None:
    assert DrainLimits(batch_rows=100, batch_bytes=1000 * KIB).full(rows, size) is full
