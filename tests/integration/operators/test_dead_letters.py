"""Dead letters as tasks: what preflight and purge say of open ones, replaying, discarding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.deadletters import (
    DiscardDeadLettersOperator,
    ReplayDeadLettersOperator,
)
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from tests.integration.operators.conftest import Place
from tests.integration.operators.test_drain import event
from tests.integration.support import services
from tests.integration.support.engines import Connector
from tests.integration.support.tasks import context

ROWS = 20
WIDENED = 2**40


class Letters:
    """A table with a row whose number the archive's column could not hold, and whose event became a dead letter."""

    def __init__(self, place: Place, connector: str) -> None:
        self.connector = connector
        self.place, self.prefix = place, f"{place.schema}.{services.token()}"
        name = f"t_{services.token()}"
        self.table, self.target = f"{place.schema}.{name}", f"{place.database}.{name}"
        place.engine.execute(
            f"CREATE TABLE {self.table} (id INT PRIMARY KEY, name VARCHAR(40) NULL, day DATE NOT NULL, n INT NULL)"
        )
        self.given = {"table": self.table, "target": self.target, **place.systems}
        CreateArchiveTableOperator(
            task_id="create", tables={self.table: self.target}, **place.systems
        ).execute(context())
        place.engine.execute(
            f"INSERT INTO {self.table} VALUES (%s, %s, '2024-01-01', 1)",
            many=[(number, f"name {number}") for number in range(ROWS)],
        )
        topic = f"{self.prefix}.{self.table}"
        services.create_topic(topic)
        producer = services.producer()
        for number in range(ROWS):
            n = WIDENED if number == 7 else 1
            body = event(number).replace(b'"day": %d' % (19_000 + number), b'"day": 19723, "n": %d' % n)
            producer.produce(topic, key=b'{"id":%d}' % number, value=body)
        assert producer.flush(30) == 0
        drained = DrainTopicOperator(task_id="drain", topic_prefix=self.prefix, **self.given).execute(
            context()
        )
        assert drained["op_dead"] == 1

    def widen(self) -> None:
        self.place.engine.execute(
            f"ALTER TABLE {self.table} MODIFY n BIGINT NULL",
            f"UPDATE {self.table} SET n = {WIDENED} WHERE id = 7",
        )

    def replay(self, **more: Any) -> ReplayDeadLettersOperator:
        return ReplayDeadLettersOperator(task_id="replay", **{**self.given, **more})

    def discard(self, reason: str = "known", **more: Any) -> DiscardDeadLettersOperator:
        return DiscardDeadLettersOperator(task_id="discard", reason=reason, **{**self.given, **more})

    def preflight(self) -> dict[str, Any]:
        task = PreflightOperator(task_id="preflight", tables={self.table: self.target}, **self.place.systems)
        return task.execute(context())

    def purge(self) -> dict[str, Any]:
        return PurgeSourceOperator(
            task_id="purge", purge_conn_id="mysql_purge", retention=timedelta(0), **self.given
        ).execute(context())

    def prove_and_approve(self) -> None:
        proof = VerifyArchiveOperator(
            task_id="verify", connector=self.connector, topic_prefix=self.prefix, **self.given
        ).execute(context())
        ledger = Ledger(self.place.control, f"mysql:{self.table}", TableId.parse(self.target), None)
        ledger.record(Stage.APPROVED, verify_id=proof["verify_id"], actor="a.user")

    def letter(self) -> dict[str, Any]:
        columns = "state, reason, dag_id, run_id, task_id, task, error"
        [row] = self.place.control.rows(
            f"SELECT {columns} FROM {self.place.control.name('dead_letters')} FINAL WHERE target = {{t:String}}",
            {"t": self.target},
        )
        return row


@pytest.fixture
def letters(place: Place, stopped: Connector) -> Letters:
    return Letters(place, stopped.name)


def message(run: Callable[[], Any]) -> str:
    with pytest.raises(AirflowFailException) as raised:
        run()
    return str(raised.value)


def test_open_letters_keep_rows_at_the_source_until_they_are_replayed(
    letters: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    assert letters.preflight() == {
        "error": 0, "purge": 1, "warning": 0, "info": 0, "purge_refused": [letters.target],
    }  # fmt: skip
    told = (
        f"{letters.target} has 1 open dead letters (state table dead_letters): rows that are not in the archive. "
        f"The first is {letters.prefix}.{letters.table}, generation 0, partition 0, offset 7: "
        "DecodeError: Expected `int` <= 2147483647"
    )
    ways = "run ReplayDeadLettersOperator, or run DiscardDeadLettersOperator with a reason"
    log = capsys.readouterr().out
    assert f"[purge] dead letters: {letters.target}: {told}" in log
    assert ways in log
    refusal = message(letters.purge)
    assert told in refusal
    assert ways in refusal

    letters.widen()
    run = context()
    assert letters.replay().execute(run) == {"replayed": 1, "still_open": 0, "first_error": ""}
    found = letters.letter()
    assert (found["state"], found["dag_id"], found["task_id"]) == ("replayed", "d", "t")
    assert found["run_id"] == run["ti"].run_id
    assert letters.preflight()["purge"] == 0
    letters.prove_and_approve()
    assert letters.purge()["deleted"] == ROWS
    assert letters.place.engine.query(f"SELECT count(*) FROM {letters.table}") == [(0,)]


def test_a_purge_works_again_after_the_letters_were_discarded(letters: Letters) -> None:
    assert "are not discarded without a reason" in message(lambda: letters.discard(" ").execute(context()))
    assert "1 open dead letters" in message(letters.purge)
    run = context()
    assert letters.discard("the row is gone", offsets={"0": ["7"]}).execute(run) == {"discarded": 1}
    found = letters.letter()
    assert (found["state"], found["reason"]) == ("discarded", "the row is gone")
    assert (found["dag_id"], found["run_id"], found["task_id"]) == ("d", run["ti"].run_id, "t")
    assert letters.discard().execute(context()) == {"discarded": 0}
    letters.place.engine.execute(f"DELETE FROM {letters.table} WHERE id = 7")
    letters.prove_and_approve()
    assert letters.purge()["deleted"] == ROWS - 1


def test_what_fails_again_is_a_warning_with_the_first_error(
    letters: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    run = context()
    found = letters.replay().execute(run)
    error = found["first_error"].removeprefix("partition 0, offset 7: ")
    assert (found["replayed"], found["still_open"]) == (0, 1)
    assert error.startswith("Expected `int` <= 2147483647")
    [warning] = [line for line in capsys.readouterr().out.splitlines() if "failed again" in line]
    assert "[warning" in warning
    assert (
        f"1 dead letters of {letters.target} failed again and stay open; the first is {found['first_error']}"
        in warning
    )
    letter = letters.letter()
    assert (letter["state"], letter["error"]) == ("open", error)
    assert letter["task"] == f"d.t {run['ti'].run_id}"


def test_a_choice_of_letters_that_are_none_is_refused(letters: Letters) -> None:
    assert "no dead letters of partition 0 offset 8" in message(
        lambda: letters.replay(offsets={"0": [7, 8]}).execute(context())
    )
    assert "does not name dead letters" in message(
        lambda: letters.discard(offsets={"0": "7"}).execute(context())
    )
    assert letters.letter()["state"] == "open"


def test_a_replay_that_was_asked_to_stop_is_tried_again(letters: Letters) -> None:
    letters.widen()
    task = letters.replay()
    task.on_kill()
    with pytest.raises(TransientError, match="was stopped; what was replayed is recorded"):
        task.execute(context())
    assert letters.letter()["state"] == "open"
    assert letters.replay().execute(context())["replayed"] == 1
