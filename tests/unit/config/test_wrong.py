"""Whatever is wrong in a file is told with its line and column, what was found and what is allowed; all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_chista.config import ArchivesError, load_dags
from airflow_provider_chista.errors import FatalError
from tests.unit.config.cases import KEYS, VALUES
from tests.unit.config.conftest import GOOD

Errors = Callable[[str | bytes], list[str]]


@pytest.mark.parametrize(("part", "instead", "error"), VALUES, ids=lambda value: value.strip()[:40])
def test_a_value_that_cannot_be_used(errors: Errors, part: str, instead: str, error: str) -> None:
    assert part in GOOD
    assert errors(GOOD.replace(part, instead)) == [error]


@pytest.mark.parametrize(("part", "instead", "error"), KEYS, ids=lambda value: value.strip()[:40])
def test_a_key_that_is_wrong_twice_or_missing(errors: Errors, part: str, instead: str, error: str) -> None:
    assert part in GOOD
    assert [each for each in errors(GOOD.replace(part, instead, 1)) if each.startswith(error)]


NO_YAML = [
    (b"", "1:1: the file is empty; write `archives:` and an archive below it"),
    (b"# nothing\n", "1:1: the file is empty; write `archives:` and an archive below it"),
    (b"archives:\n  a: [1\n  b: 2\n", "3:4: this is no YAML: while parsing a flow sequence did not find expected ','"),
    (b"archives:\n\ta: 1\n", "2:1: this is no YAML: while scanning for the next token found character that cannot"),
    (b"archives: {}\n---\na: {}\n", "2:1: this is no YAML: expected a single document in the stream"),
    (b"archives: *orders\n", "1:11: this is no YAML: found undefined alias"),
    (b"archives: !!python/object:os.system {}\n", "1:11: the tag 'tag:yaml.org,2002:python/object:os.system' is"),
    (b"archives: {a: !!int '3'}\n", "1:15: the tag 'tag:yaml.org,2002:int' is not allowed; leave it out"),
    (b"archives: &a\n  b: *a\n", "2:3: this alias stands within what it refers to; write the value out"),
    (b"archives:\n  a: \xff\n", "2:1: the file is not in UTF-8; save it as UTF-8"),
    (b"just words\n", "1:1: the file is 'just words'; write a mapping"),
    (b"archives: [a]\n", "1:11: archives is a list; write a mapping"),
    (b"archives: {a: 5}\n", "1:15: a is 5; write a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error"), NO_YAML, ids=lambda value: str(value)[:40])
def test_a_text_that_is_no_file_of_archives(errors: Errors, text: bytes, error: str) -> None:
    (found,) = errors(text)
    assert found.startswith(error)


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file(errors: Errors) -> None:
    text = GOOD.replace("90 days", "long").replace("day\n", "day\n        purges: 1\n        repair: 2\n")
    more = "  lines:\n    capture_conn_id: ${NOWHERE_SET}\n    connector: orders\n    tables: []\n"
    assert [each.partition(";")[0] for each in errors(text + more)] == [
        "8:16: retention is 'long'",
        "13:9: purges is not known here",
        "14:17: repair is 2",
        "15:3: the archive lines lacks source_conn_id",
        "16:22: ${NOWHERE_SET} is not set where Airflow parses this file",
        "17:16: connector 'orders' is taken by another archive in line 6",
        "18:13: tables is an empty list",
    ]


@pytest.mark.parametrize("name", ["orders_restore", "orders_audit"])
def test_the_names_of_restores_and_audits_are_kept_for_them(errors: Errors, name: str) -> None:
    second = GOOD.removeprefix("archives:\n").replace("orders", "lines").replace("  lines:", f"  {name}:")
    found = errors(GOOD + second)
    assert found == [f"2:3: the name {name} is kept for a DAG of orders; give the other archive another name"]


def test_a_wrong_default_is_told_once_where_it_stands(errors: Errors) -> None:
    defaults = "defaults:\n  retention: soon\n  table_defaults: {repair: 7}\n"
    second = (
        GOOD.removeprefix("archives:\n").replace("orders", "lines").replace("    retention: 90 days\n", "")
    )
    assert [each.partition(";")[0] for each in errors(defaults + GOOD + second)] == [
        "2:14: retention is 'soon'",
        "3:28: repair is 7",
    ]


CLASHES = [
    ("connector", "17:16: connector 'orders' is taken by another archive in line 6; each needs its own"),
    (
        "topic_prefix",
        "18:19: topic_prefix 'orders' is taken by another archive in line 7; each needs its own",
    ),
    ("target", "22:17: target 'archive.orders' is taken by another table in line 11; each needs its own"),
]


@pytest.mark.parametrize(("shared", "error"), CLASHES, ids=lambda value: value[:12])
def test_names_that_two_archives_must_not_share(errors: Errors, shared: str, error: str) -> None:
    second = "".join(
        line if f" {shared}:" in line else line.replace("orders", "lines")
        for line in GOOD.splitlines(keepends=True)[1:]
    )
    assert errors(GOOD + second) == [error]


def test_the_name_that_an_archive_takes_by_default_is_taken_too(errors: Errors) -> None:
    second = (
        GOOD.removeprefix("archives:\n")
        .replace("  orders:", "  lines:")
        .replace("archive.orders", "archive.lines")
    )
    first = GOOD.replace("    connector: orders\n    topic_prefix: orders\n", "")
    assert [each.partition(";")[0] for each in errors(first + second)] == [
        "15:16: connector 'orders' is taken by another archive in line 2",
        "16:19: topic_prefix 'orders' is taken by another archive in line 2",
    ]


def test_two_tables_of_an_archive_need_two_task_groups(errors: Errors) -> None:
    table = "      - source: {}\n        target: {}\n"
    more = table.format("shop.or ders", "archive.a") + table.format("shop.or_ders", "archive.b")
    assert errors(GOOD + more) == [
        "15:17: a table with the task group 'shop_or_ders' is in line 13 already; each needs its own"
    ]


def test_what_airflow_refuses_is_told_with_the_archive(errors: Errors) -> None:
    (error,) = errors(GOOD.replace("  orders:", "  my orders:"))
    assert error.startswith("2:3: no Dag can be made of my orders: The key 'my orders' has to be made of")


NOTIFIERS = [
    ("no.such.module.Notifier", "No module named 'no'"),
    ("Notifier", "Empty module name"),
    ("tests.unit.config.notifiers.Nobody", "module 'tests.unit.config.notifiers' has no attribute 'Nobody'"),
    (
        "tests.unit.config.notifiers.NoNotifier",
        "this is no BaseNotifier of Airflow; name a class of a module",
    ),
    (
        "tests.unit.config.notifiers.Recorder\n          kwargs: {word: hello}",
        "Recorder.__init__() got an unexpected",
    ),
]


@pytest.mark.parametrize(("classpath", "error"), NOTIFIERS)
def test_a_notifier_that_cannot_be_made(errors: Errors, classpath: str, error: str) -> None:
    notifications = f"    notifications:\n      failure:\n        - classpath: {classpath}\n    tables:"
    (found,) = errors(GOOD.replace("    tables:", notifications))
    assert found.startswith(f"11:22: classpath is {classpath.splitlines()[0]!r}: {error}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArchivesError, match=r"nowhere\.yaml:1:1: the file cannot be read: No such file"):
        load_dags(tmp_path / "nowhere.yaml")


def test_a_relative_path_is_refused_with_the_line_to_write() -> None:
    with pytest.raises(FatalError, match=r'load_dags\(Path\(__file__\)\.with_name\("archives\.yaml"\)\)'):
        load_dags("archives.yaml")
