"""Dags from a file of archives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseNotifier
from airflow.sdk.exceptions import AirflowException

from airflow_provider_chista.config.document import Item
from airflow_provider_chista.config.models import Archive, Notifier
from airflow_provider_chista.config.problems import ArchivesError, Problem
from airflow_provider_chista.config.reading import read_archives
from airflow_provider_chista.dag import ArchiveTable, archive_dag
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.upkeep import audit_dag, restore_dag

_CALLBACKS = {
    "failure": "on_failure_callback",
    "success": "on_success_callback",
    "approval": "approval_notifiers",
}
"""Argument of ``archive_dag`` by event."""

_OWN = {"tables", "table_defaults", "notifications", "restore_conn_id", "audit"}
"""Settings of an archive that are no arguments of ``archive_dag``, or other ones."""

_SHARED = {
    "source_conn_id", "kafka_conn_id", "kafka_connect_conn_id", "clickhouse_conn_id", "schema_registry_conn_id",
    "default_args", "is_paused_upon_creation", "owner_links",
}  # fmt: skip
"""Those that the archive's restores and audits have too."""


def load_dags(path: str | os.PathLike[str]) -> dict[str, DAG]:
    """The Dags of a file such as ``archives.yaml`` (docs/yaml.md): of each of its archives, its restores and its audits.

    Called in a Dag file it is all that the file needs: ``load_dags(Path(__file__).with_name("archives.yaml"))``. It opens no
    connection.

    :param path: the file, absolute, because where Airflow runs says nothing about where its Dag files are.
    :return: the Dags by id.
    :raises ArchivesError: something in the file is wrong; the message has a line for each problem, with its place.
    :raises FatalError: the path is relative.
    """
    file = Path(path)
    if not file.is_absolute():
        raise FatalError(
            f'{file} is a relative path; write load_dags(Path(__file__).with_name("{file.name}"))'
        )
    archives, document = read_archives(file, os.environ)
    dags: dict[str, DAG] = {}
    problems: list[Problem] = []
    for dag_id, archive in archives.items():
        place = document.at(("archives", dag_id))
        taken = [other for other in (f"{dag_id}_restore", f"{dag_id}_audit") if other in archives]
        if taken:
            told = f"the name {taken[0]} is kept for a DAG of {dag_id}; give the other archive another name"
            problems.append(place.problem(told, at_key=True))
        callbacks = _callbacks(archive, place, problems)
        try:
            for dag in _dags(dag_id, archive, callbacks):
                dags[dag.dag_id] = dag
        except (AirflowException, FatalError, TypeError, ValueError) as error:
            problems.append(place.problem(f"no Dag can be made of {dag_id}: {error}", at_key=True))
    if problems:
        raise ArchivesError(file, problems)
    return dags


def _dags(dag_id: str, archive: Archive, callbacks: Mapping[str, Any]) -> Iterator[DAG]:
    """What is made of one archive."""
    tables = [ArchiveTable(**table.given()) for table in archive.tables]
    given = archive.given(*_OWN)
    yield archive_dag(dag_id, tables=tables, **given, **callbacks)
    beside: dict[str, Any] = {
        "tables": tables,
        "connector": given.get("connector", dag_id),
        "topic_prefix": given.get("topic_prefix", dag_id),
        **{name: value for name, value in given.items() if name in _SHARED},
        **{name: value for name, value in callbacks.items() if name != _CALLBACKS["approval"]},
    }
    if "restore_conn_id" in archive.model_fields_set:
        yield restore_dag(f"{dag_id}_restore", restore_conn_id=archive.restore_conn_id, **beside)
    if "audit" in archive.model_fields_set:
        yield audit_dag(f"{dag_id}_audit", cron=archive.audit, **beside)


def _callbacks(archive: Archive, place: Item, problems: list[Problem]) -> dict[str, Any]:
    """Notifiers by the argument that takes them."""
    if archive.notifications is None:
        return {}
    made: dict[str, Any] = {}
    for event in archive.notifications.model_fields_set:
        notifiers: Iterable[Notifier] = getattr(archive.notifications, event)
        made[_CALLBACKS[event]] = []
        for number, notifier in enumerate(notifiers):
            item = place.at(("notifications", event, number, "classpath"))
            try:
                made[_CALLBACKS[event]].append(_notifier(notifier))
            except (AttributeError, ImportError, TypeError, ValueError) as error:
                problems.append(item.problem(f"classpath is {notifier.classpath!r}: {error}"))
    return made


def _notifier(given: Notifier) -> BaseNotifier:
    module, _, name = given.classpath.rpartition(".")
    found = getattr(import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise TypeError(
            "this is no BaseNotifier of Airflow; name a class of a module airflow.providers.….notifications"
        )
    return found(**(given.kwargs if "kwargs" in given.model_fields_set else {}))
