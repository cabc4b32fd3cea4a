from __future__ import annotations

import logging

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.hooks.errors import airflow_errors


@pytest.mark.parametrize("error", [FatalError, RefusedError])
def test_a_fatal_error_fails_the_task_without_retries_and_is_the_last_log_line(error, caplog):
    with (
        pytest.raises(AirflowFailException, match="no slot is free; raise max_replication_slots") as raised,
        airflow_errors(),
    ):
        raise error("no slot is free; raise max_replication_slots")
    assert isinstance(raised.value.__cause__, error)
    assert caplog.records[-1].getMessage() == "no slot is free; raise max_replication_slots"
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parametrize("error", [TransientError("Kafka does not answer"), ValueError("a bug")])
def test_every_other_error_is_left_to_the_retries(error):
    with pytest.raises(type(error)) as raised, airflow_errors():
        raise error
    assert raised.value is error


def test_it_decorates_a_method_too():
    class Operator:
        @airflow_errors()
        def execute(self, outcome):
            if outcome is None:
                raise FatalError("nothing to do")
            return outcome

    assert [Operator().execute(number) for number in (1, 2)] == [1, 2]
    with pytest.raises(AirflowFailException, match="nothing to do"):
        Operator().execute(None)
