from __future__ import annotations

from airflow_provider_chista.sources.gauges import slowest


def test_of_several_channels_the_slowest_counts_and_one_that_stands_still_hides_behind_none() -> None:
    assert slowest([1.0, 7.0, 0.0]) == 7.0
    assert slowest([0.0]) == 0.0
    assert slowest([5.0, None]) is None
    assert slowest([None, None]) is None
