"""``airflow chista dead-letters``, and the lag that ``status`` tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from airflow_provider_chista.archive import topic
from tests.integration.cli.conftest import Run
from tests.integration.operators.conftest import Place
from tests.integration.operators.test_dead_letters import ROWS, Letters
from tests.integration.operators.test_drain import event
from tests.integration.support import services
from tests.unit.docs.pages import code, page, rows, sections


def named(letters: Letters) -> list[str]:
    return ["--table", letters.table, "--target", letters.target, "--source-conn-id", "mysql_verify"]


def test_letters_are_listed_and_replayed_once_the_cause_is_mended(run: Run, letters: Letters) -> None:
    (listed,) = run("dead-letters", "list", "--target", letters.target, "-o", "json").rows
    assert (listed["partition"], listed["offset"], listed["state"]) == (0, 7, "open")
    assert "Expected `int` <= 2147483647" in listed["error"]
    assert not {"key", "value"} & listed.keys()
    for output in ("table", "plain", "yaml"):
        shown = run("dead-letters", "list", "-o", output)
        assert shown.code == 0
        assert letters.target in shown.out, output
        assert "Expected" in shown.out, output

    again = run("dead-letters", "replay", *named(letters), "-o", "json")
    assert (again.code, again.rows[0]["still_open"]) == (1, 1)
    letters.widen()
    mended = run("dead-letters", "replay", *named(letters), "--offsets", "0:7", "-o", "json")
    assert (mended.code, mended.rows[0]["replayed"]) == (0, 1)
    found = letters.letter()
    assert (found["state"], found["dag_id"]) == ("replayed", "")
    assert found["task_id"] == "airflow chista dead-letters replay"
    assert found["run_id"].startswith("cli__")
    assert run("dead-letters", "list", "--target", letters.target, "-o", "json").rows == []
    settled = run("dead-letters", "list", "--target", letters.target, "--state", "all", "-o", "yaml")
    assert "state: replayed" in settled.out


def test_a_masked_list_tells_no_error(run: Run, letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CHISTA__MASK_VALUES", "True")
    listed = run("dead-letters", "list", "--target", letters.target, "-o", "json")
    assert (listed.code, listed.rows[0]["error"]) == (0, "hidden by [chista] mask_values")
    assert "2147483647" not in listed.out + listed.err


def test_letters_are_discarded_by_choice_and_with_a_reason_only(run: Run, letters: Letters) -> None:
    target = ["dead-letters", "discard", "--target", letters.target]
    for words, said in (
        (["--reason", "a test"], "say which dead letters are meant"),
        (["--reason", "a test", "--all", "--offsets", "0:7"], "say which dead letters are meant"),
        (["--reason", " ", "--all"], "without a reason"),
        (["--reason", "a test", "--offsets", "7"], "PARTITION:OFFSET"),
        (["--reason", "a test", "--offsets", "0:8"], "no dead letters of partition 0 offset 8"),
        (["--all"], "required: --reason"),
    ):
        refused = run(*target, *words)
        assert refused.code == 2, words
        assert said in " ".join(refused.err.split()), words
        assert letters.letter()["state"] == "open"
    done = run(*target, "--reason", "load test", "--offsets", "0:7", "-o", "json")
    assert (done.code, done.rows) == (0, [{"target": letters.target, "discarded": 1}])
    found = letters.letter()
    assert (found["state"], found["reason"]) == ("discarded", "load test")
    assert found["task_id"] == "airflow chista dead-letters discard"
    assert run(*target, "--reason", "again", "--all", "-o", "json").rows[0]["discarded"] == 0


def test_status_tells_lag_and_what_lies_open_and_does_without_kafka(
    run: Run, place: Place, letters: Letters, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(*more: str) -> Any:
        found = run("status", "--target", letters.target, "-o", "json", *more)
        assert found.code == 0
        (row,) = found.rows
        return row, found.err

    row, said = status()
    assert (row["lag"], row["dead_letters"], row["source"], row["proven_at"], said) == (0, 1, "", None, "")
    assert row["drained_at"]
    documented = [
        name for cells in rows(sections(page("cli.md"))["`airflow chista status`"]) for name in code(cells[0])
    ]
    assert list(row) == [name for name in documented if not name.startswith("-")]
    shown = run("status", "--target", letters.target)
    assert letters.target in "".join(shown.out.split())
    name = f"{letters.prefix}.{letters.table}"
    producer = services.producer()
    for number in range(3):
        producer.produce(name, key=b'{"id":1}', value=event(number))
    assert producer.flush(30) == 0
    assert status()[0]["lag"] == 3

    monkeypatch.setattr(topic, "REQUEST_SECONDS", 0.5)
    nowhere = given("nowhere", "kafka_default", extra=json.dumps({"bootstrap.servers": "127.0.0.1:1"}))
    for connection in (nowhere, "not_there"):
        row, said = status("--kafka-conn-id", connection)
        assert (row["lag"], row["dead_letters"]) == (None, 1)
        assert said.startswith("lag is not known: ")
        assert len(said.splitlines()) == 1
    monkeypatch.undo()

    admin, upto = services.kafka().admin(), TopicPartition(name, 0, ROWS + 2)
    admin.delete_records([upto])[upto].result(20)
    row, said = status()
    assert row["lag"] is None
    assert (
        f"{letters.target} cannot be drained further: gap in {name}, partition 0: offset {ROWS} is next"
        in said
    )
    services.delete_topics(name)
    row, said = status()
    assert row["lag"] is None
    assert f"{letters.target} cannot be drained further: topic {name} does not exist any more" in said
    assert place.engine.query(f"SELECT count(*) FROM {letters.table}") == [(ROWS,)]
