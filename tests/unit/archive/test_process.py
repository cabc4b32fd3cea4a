"""A drain's settings of its process end with it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pyarrow as pa
import pytest

from airflow_provider_chista.archive.process import tuned


@pytest.fixture
def _thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(("before", "during"), [(700, 50_000), (90_000, 90_000), (0, 0)])
@pytest.mark.usefixtures("_thresholds")
def test_settings_are_those_of_before_also_behind_an_error(before: int, during: int) -> None:
    gc.set_threshold(before, 11, 12)
    pool = pa.default_memory_pool().backend_name
    with pytest.raises(ValueError, match="no number"), tuned():
        int("no number")
    assert gc.get_threshold() == (before, 11, 12)
    assert pa.default_memory_pool().backend_name == pool
    with tuned():
        assert gc.get_threshold() == (during, 11, 12)
        assert pa.default_memory_pool().backend_name == "system"
    assert gc.get_threshold() == (before, 11, 12)
    assert pa.default_memory_pool().backend_name == pool


@pytest.mark.usefixtures("_thresholds")
def test_drains_that_overlap_leave_what_the_first_one_found() -> None:
    gc.set_threshold(700, 10, 10)
    pool = pa.default_memory_pool().backend_name
    first, second = tuned(), tuned()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (gc.get_threshold()[0], pa.default_memory_pool().backend_name) == (50_000, "system")
    second.__exit__(None, None, None)
    assert (gc.get_threshold()[0], pa.default_memory_pool().backend_name) == (700, pool)
