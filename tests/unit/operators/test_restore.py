"""What RestoreRowsOperator makes of its arguments and of the trigger form."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.archive.restore import Selection
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.services import Connections
from airflow_provider_chista.operators.restore import RestoreRowsOperator


def operator(**more: Any) -> RestoreRowsOperator:
    return RestoreRowsOperator(
        task_id="t", table="a.t", target="archive.t", source_conn_id="v", restore_conn_id="r", **more
    )


def selection(task: RestoreRowsOperator, **params: Any) -> Selection:
    context: Any = {"params": params}
    return task._selection(context)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (["17", "18"], ("17", "18")),
        ('["17", "5:Paris|2024-01-31"]', ("17", "5:Paris|2024-01-31")),
        ("17", ("17",)),
        ("5:Paris|2024-01-31", ("5:Paris|2024-01-31",)),
    ],
)
def test_row_keys_are_a_list_its_json_or_one_key(given: Any, keys: tuple[str, ...]) -> None:
    assert selection(operator(row_keys=given)) == Selection(row_keys=keys)


@pytest.mark.parametrize("given", [[17], "[17, 18]", {"a": 1}])
def test_row_keys_of_another_kind_are_refused(given: Any) -> None:
    with pytest.raises(FatalError, match="give a list of row keys"):
        selection(operator(row_keys=given))


def test_what_the_form_left_empty_is_no_choice() -> None:
    task = operator(row_keys="[]", batch_id="b", time_column="day")
    assert selection(task, window_start=None, window_end=None) == Selection(batch_id="b")


@pytest.mark.parametrize("more", [{}, {"time_column": "day"}])
def test_nothing_chosen_is_refused_and_the_runs_interval_is_no_window(more: dict[str, Any]) -> None:
    with pytest.raises(FatalError, match="got none"):
        selection(operator(**more))


def test_a_batch_and_a_window_are_refused() -> None:
    task = operator(batch_id="b", time_column="day", window_start="2024-01-01", window_end="2024-02-01")
    with pytest.raises(FatalError, match="and purge batch b"):
        selection(task)
    with pytest.raises(FatalError, match="and purge batch b"):
        selection(
            operator(batch_id="b", time_column="day"), window_start="2024-01-01", window_end="2024-02-01"
        )


def test_the_restore_user_has_a_connection_of_its_own() -> None:
    assert operator().connections == Connections("v", restore="r")
